"""Data sets: their splits, from which episodes are drawn, and what identifies them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mamlbench.data.counter_rng import Keys
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.data.image_cache import CachedImages, ImageStream, cached_images, load_cached_images
from mamlbench.data.image_decoding import ImageFormat
from mamlbench.data.progress import ProgressCallback, no_progress
from mamlbench.data.raw_files import RawFile, RawFiles
from mamlbench.errors import ConfigError, DataError
from mamlbench.objectives import Classification, Objective, TaskKind
from mamlbench.run_spec.options import Options
from mamlbench.run_spec.outside_text import file_name_of

SPLITS = ("train", "val", "test")
"""Names of the splits of every data set."""


@dataclass(frozen=True)
class DatasetInfo:
    """What users must know about a data set before they publish numbers or images of it.

    Args:
        title: its full name.
        license: its license, or what is known about it.
        citation: the paper or page to cite.
        publishable: whether a page made from results may show its images.
        homepage: its address on the web.
        obtain: how to get the data, shown by ``mamlbench info`` if they are missing.
    """

    title: str
    license: str
    citation: str
    publishable: bool = True
    homepage: str = ""
    obtain: str = ""


@dataclass(frozen=True)
class DataPaths:
    """Folders to search for raw data, and the cache folder for prepared data.

    Args:
        folders: the folders to search, in this order, each as (reason, folder); the reason says who named it
            (``--data-dir``, ``MAMLBENCH_DATA``, ...).
        cache: the folder for prepared and downloaded data.
        allow_download: whether missing data may be downloaded.
        progress: called a few times a second while data are prepared.
    """

    folders: tuple[tuple[str, Path], ...]
    cache: Path
    allow_download: bool = True
    progress: ProgressCallback = no_progress

    def cached(
        self,
        name: str,
        files: Iterable[tuple[str, Path]],
        settings: Sequence[object],
        build: Callable[[], CachedImages | ImageStream],
    ) -> CachedImages:
        """Map the images that were prepared from files of this content, or prepare them.

        Args:
            name: of the data set; the cached file begins with it.
            files: those that the images are made of, each as (name in the data set, path). Their bytes are hashed, once
                as long as they do not change, so that other images of the same names, sizes and times are never taken.
            settings: everything else that the images depend on, such as their size; its ``repr`` counts.
            build: makes the images.

        Raises DataError if files change while the images are prepared, and what ``cached_images`` raises.
        """
        raw = RawFiles((RawFile(*file) for file in files), self.cache)
        content = raw.content_hash(self.progress)
        state = raw.state()

        def check() -> None:
            if raw.state() != state and raw.content_hash(self.progress) != content:
                raise DataError(
                    f"Files of {name} changed while they were prepared: run this again once they are complete."
                )

        return cached_images(self._cache_file(name, content, settings), lambda: _checked_after(build(), check))

    def load_cached(
        self, name: str, files: Iterable[tuple[str, Path]], settings: Sequence[object]
    ) -> CachedImages | None:
        """Map what ``cached`` prepared, without reading a file or checking the images; None if nothing is prepared."""
        content = RawFiles((RawFile(*file) for file in files), self.cache).remembered_hash()
        return (content and load_cached_images(self._cache_file(name, content, settings), check=False)) or None

    def _cache_file(self, name: str, content: str, settings: Sequence[object]) -> Path:
        key = hashlib.sha256(repr((content, *settings)).encode()).hexdigest()[:32]
        return self.cache / f"{file_name_of(name)}-{key}.safetensors"


def _checked_after(built: CachedImages | ImageStream, check: Callable[[], None]) -> CachedImages | ImageStream:
    """Call ``check`` once all images are decoded."""
    if isinstance(built, CachedImages):
        check()
        return built
    stream = built

    def images() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        yield from stream.images
        check()

    return replace(stream, images=images())


@dataclass(frozen=True)
class LocalCopy:
    """The copy of a data set on this machine, described without decoding it.

    Args:
        form: the form of the files, as in ``Dataset.origin``.
        location: the folder or file; empty if the data are computed.
        amount: the number of images and classes, in words.
        subset: how it differs from the complete data set; None if it does not.
        prepared: whether it can be used at once, because it is in the cache or needs no preparation.
    """

    form: str
    location: str = ""
    amount: str = ""
    subset: str | None = None
    prepared: bool = False


class TaskSplit(ABC):
    """One split of a data set: draws episodes and labeled examples.

    Attributes:
        hash: hash of its content, the same on every machine.
        size: number of classes (or of functions).
    """

    hash: str
    size: int

    @abstractmethod
    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Draw one episode per key ``[T]``, as a pure function of the key; the support does not depend on ``queries``.

        Support x is ``[T, ways * shots, *input_shape]``, query x ``[T, ways * queries, *input_shape]``.
        Raises ConfigError if the split has too few classes or examples.
        """

    def episodes_without_replacement(
        self, key: np.uint64, numbers: NDArray[np.int64], ways: int, shots: int, queries: int
    ) -> EpisodeBatch:
        """Draw the episodes of these numbers ``[T]``, a pass over the split with each example at most once, and again.

        Raises ConfigError: a split of functions, or of a plugin that does not implement it, has nothing to use up.
        """
        raise ConfigError("this data set cannot be sampled without replacement. Use --test-sampling independent.")

    @abstractmethod
    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Draw ``count`` examples of all classes, labeled by class: x ``[count, *input_shape]``, y ``[count]``."""

    def labeled_batches(self, keys: Keys, count: int) -> Sequence[Examples]:
        """Draw the ``labeled_examples`` of each key ``[T]``; splits of small examples do so faster in one go."""
        return [self.labeled_examples(key, count) for key in keys]

    @abstractmethod
    def to(self, device: torch.device) -> TaskSplit:
        """Return this split with its tensors on ``device``."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: ``(C, H, W)`` of images."""

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Shape of what a network takes: of an example, unless a method makes it of one, as an observation."""
        return self.input_shape

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The objective that pretraining optimizes: all classes of the split at once."""


class Dataset(ABC):
    """A data set: its splits, and what identifies them.

    Subclasses set ``info`` and ``Options``, and implement ``load``. ``content_hash`` must not depend on the order
    in which the file system lists files, nor on any random state. Implement ``find_local_copy``,
    ``published_classes`` and ``image_format`` too, so that ``mamlbench data`` and ``mamlbench adapt`` can use them.

    Args:
        options: of the class ``Options``.
        paths: folders with raw data, and the cache folder.

    Attributes:
        default_backbone: name of the backbone if a run names none.
        kind: what its tasks are: 'classification', 'regression', or 'multi-label' if an example may have several
            labels or none; or 'reinforcement' if an example is a trajectory. All but the first have no ways, and
            targets float32 ``[T, n, outputs]``.
        splits: the splits by name: 'train', 'val', 'test'.
        subset: how it differs from the complete data set; None if it does not.
        notes: what was guessed and which files were left out when its files were read, a sentence each without a full
            stop.
        origin: the form of the files that it was loaded from.
    """

    info: ClassVar[DatasetInfo]
    Options: ClassVar[type[Options]] = Options
    default_backbone: ClassVar[str] = "conv4-strided"
    kind: ClassVar[TaskKind] = "classification"
    subset: str | None = None
    notes: tuple[str, ...] = ()
    origin: str = ""

    def __init__(self, options: Any, paths: DataPaths) -> None:
        self.options = options
        self.paths = paths
        self.splits: Mapping[str, TaskSplit] = self.load()

    @abstractmethod
    def load(self) -> Mapping[str, TaskSplit]:
        """Return the splits 'train', 'val' and 'test', disjoint by class.

        Raises DataError, with what to do, if data are missing or damaged.
        """

    @classmethod
    def find_local_copy(cls, options: Any, paths: DataPaths) -> LocalCopy | None:
        """Describe the copy on this machine, without decoding or downloading; None if there is no copy.

        A data set that does not implement it is listed as 'not looked for'.
        """
        return LocalCopy("not looked for")

    @classmethod
    def refuse_shared_classes(cls, options: Any, paths: DataPaths) -> None:
        """Raise DataError if the names of files show already that splits share classes; nothing is decoded.

        It is called before a run that trains loads the data, unless the run allows leaks. The splits of a data set that
        does not implement it are compared after it was loaded.
        """
        return None

    def published_classes(self) -> Mapping[str, Sequence[str]] | None:
        """Class names of each published split, for ``mamlbench data verify``; None if no split was published."""
        return None

    def image_format(self) -> ImageFormat | None:
        """The format that a user's own images are converted to, so that they resemble these; None without images."""
        shape = self.splits["test"].input_shape
        if len(shape) != 3 or shape[0] not in {1, 3} or shape[1] != shape[2]:
            return None
        return ImageFormat(shape[1], 3 if shape[0] == 3 else 1)

    @property
    def content_hash(self) -> str:
        """SHA-256 over the hashes of all splits."""
        text = ",".join(f"{name}={self.splits[name].hash}" for name in sorted(self.splits))
        return hashlib.sha256(text.encode()).hexdigest()

    def objective(self, ways: int) -> Objective:
        """The objective of one task: its loss, its metrics, its number of outputs."""
        return Classification(ways)
