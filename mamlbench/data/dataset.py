"""Task sources: where episodes come from. A data set is one."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from mamlbench.data.counter_rng import Keys
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.data.image_decoding import ImageFormat, ProgressCallback
from mamlbench.objectives import Classification, Objective
from mamlbench.run_spec.options import Options

SPLITS = ("train", "val", "test")
"""Names of the splits of every source."""


@dataclass(frozen=True)
class DatasetInfo:
    """What a user should know of a data set before showing numbers or images of it.

    Args:
        title: its name in full.
        license: its license, or what is known of it.
        citation: the paper or page to cite.
        publishable: whether its images may be shown in a page made from results.
        homepage: where it comes from.
        obtain: how to come by it, for ``mamlbench info`` where it is not there.
    """

    title: str
    license: str
    citation: str
    publishable: bool = True
    homepage: str = ""
    obtain: str = ""


def no_progress(title: str, done: int, total: int) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True)
class DataPaths:
    """Where a source may look for raw data and keep what it prepared.

    ``folders``: the places to look at, each with the reason it is one (``--data-dir``, ``MAMLBENCH_DATA``, ...).
    ``progress``: told how far a preparation is, a few times a second.
    """

    folders: tuple[tuple[str, Path], ...]
    cache: Path
    allow_download: bool = True
    progress: ProgressCallback = no_progress


@dataclass(frozen=True)
class LocalCopy:
    """What lies where a data set is looked for, told without decoding it.

    ``form``: the form in which it is there, as ``Dataset.origin``. ``where``: the folder or file, empty where it is
    made on the spot. ``amount``: how much it is, in words. ``subset``: how it differs from the complete set, None where
    it does not. ``prepared``: whether it is ready, in the cache or because nothing has to be prepared.
    """

    form: str
    where: str = ""
    amount: str = ""
    subset: str | None = None
    prepared: bool = False


class TaskSplit(ABC):
    """One split of a source: everything its tasks are made of.

    Attributes:
        hash: of its content, the same on every machine.
        size: number of classes (or of functions).
    """

    hash: str
    size: int

    @abstractmethod
    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Make one episode per key ``[T]``, a pure function of the key; more queries keep the support.

        Support x is ``[T, ways * shots, *input_shape]``, query x ``[T, ways * queries, *input_shape]``.
        Raises ConfigError where the pool is too small for what is asked.
        """

    @abstractmethod
    def labeled(self, key: np.uint64, count: int) -> Examples:
        """Draw ``count`` examples of the whole pool, labeled by class: x ``[count, ...]``, y ``[count]``."""

    @abstractmethod
    def to(self, device: torch.device) -> TaskSplit:
        """Return this pool with its tensors on ``device``."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: ``(C, H, W)`` of images."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The pooled problem that pretraining learns: all classes of the split at once."""


class Dataset(ABC):
    """A data set: its splits, and what identifies them.

    Subclasses set ``info`` and ``Options``, and implement ``load``. ``content_hash`` must not depend on the order
    in which the file system lists files, nor on any random state. ``look``, ``published_classes`` and
    ``image_format`` make ``mamlbench data`` and ``mamlbench adapt`` say and do more with it.

    Args:
        options: of the class ``Options``.
        places: where to look for raw data, and where to keep what was prepared.

    Attributes:
        default_backbone: name of the one that is taken where none is asked for.
        kind: what its tasks are.
        splits: the pools by name of the split.
        subset: how it differs from the complete set, None where it does not.
        origin: the form that it was found in.
    """

    info: ClassVar[DatasetInfo]
    Options: ClassVar[type[Options]] = Options
    default_backbone: ClassVar[str] = "conv4-strided"
    kind: ClassVar[Literal["classification", "regression"]] = "classification"
    subset: str | None = None
    origin: str = ""

    def __init__(self, options: Any, places: DataPaths) -> None:
        self.options = options
        self.places = places
        self.splits: Mapping[str, TaskSplit] = self.load()

    @abstractmethod
    def load(self) -> Mapping[str, TaskSplit]:
        """Return the pools of 'train', 'val' and 'test', disjoint by class.

        Raises DataError, with what to do, where data is missing or damaged.
        """

    @classmethod
    def look(cls, options: Any, places: DataPaths) -> LocalCopy | None:
        """What lies there: quickly, nothing decoded or downloaded; None where nothing does.

        A source that does not implement it is listed as not looked for.
        """
        return LocalCopy("not looked for")

    def published_classes(self) -> Mapping[str, Sequence[str]] | None:
        """Class names of each split as published, for ``mamlbench data verify``; None where no split was published."""
        return None

    def image_format(self) -> ImageFormat | None:
        """What an image of a user's own is made into, so that it is like those of this set; None without images."""
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
        """The problem of one task: which loss, which score, how many outputs."""
        return Classification(ways)
