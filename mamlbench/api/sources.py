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

from mamlbench.api.episodes import EpisodeBatch, Examples
from mamlbench.api.hashing import Keys
from mamlbench.api.options import Options
from mamlbench.api.pictures import PictureFormat, Progress
from mamlbench.api.problem import Classification, Problem

SPLITS = ("train", "val", "test")
"""Names of the splits of every source."""


@dataclass(frozen=True)
class SourceInfo:
    """What a user should know of a data set before showing numbers or pictures of it.

    Args:
        title: its name in full.
        licence: its licence, or what is known of it.
        citation: the paper or page to cite.
        publishable: whether its pictures may be shown in a page made from results.
        homepage: where it comes from.
        obtain: how to come by it, for ``mamlbench info`` where it is not there.
    """

    title: str
    licence: str
    citation: str
    publishable: bool = True
    homepage: str = ""
    obtain: str = ""


def ignore(title: str, done: int, total: int) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True)
class DataPlaces:
    """Where a source may look for raw data and keep what it prepared.

    ``folders``: the places to look at, each with the reason it is one (``--data-dir``, ``MAMLBENCH_DATA``, ...).
    ``progress``: told how far a preparation is, a few times a second.
    """

    folders: tuple[tuple[str, Path], ...]
    cache: Path
    allow_download: bool = True
    progress: Progress = ignore


@dataclass(frozen=True)
class Finding:
    """What lies where a data set is looked for, told without decoding it.

    ``form``: the form in which it is there, as ``TaskSource.origin``. ``where``: the folder or file, empty where it is
    made on the spot. ``amount``: how much it is, in words. ``subset``: how it differs from the complete set, None where
    it does not. ``prepared``: whether it is ready, in the cache or because nothing has to be prepared.
    """

    form: str
    where: str = ""
    amount: str = ""
    subset: str | None = None
    prepared: bool = False


class TaskPool(ABC):
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
    def labelled(self, key: np.uint64, count: int) -> Examples:
        """Draw ``count`` examples of the whole pool, labelled by class: x ``[count, ...]``, y ``[count]``."""

    @abstractmethod
    def to(self, device: torch.device) -> TaskPool:
        """Return this pool with its tensors on ``device``."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: ``(C, H, W)`` of pictures."""

    @property
    @abstractmethod
    def problem(self) -> Problem:
        """The pooled problem that pretraining learns: all classes of the split at once."""


class TaskSource(ABC):
    """A data set: its splits, and what identifies them.

    Subclasses set ``info`` and ``Options``, and implement ``load``. ``content_hash`` must not depend on the order
    in which the file system lists files, nor on any random state. ``look``, ``published_classes`` and
    ``picture_format`` make ``mamlbench data`` and ``mamlbench adapt`` say and do more with it.

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

    info: ClassVar[SourceInfo]
    Options: ClassVar[type[Options]] = Options
    default_backbone: ClassVar[str] = "conv4-strided"
    kind: ClassVar[Literal["classification", "regression"]] = "classification"
    subset: str | None = None
    origin: str = ""

    def __init__(self, options: Any, places: DataPlaces) -> None:
        self.options = options
        self.places = places
        self.splits: Mapping[str, TaskPool] = self.load()

    @abstractmethod
    def load(self) -> Mapping[str, TaskPool]:
        """Return the pools of 'train', 'val' and 'test', disjoint by class.

        Raises DataError, with what to do, where data is missing or damaged.
        """

    @classmethod
    def look(cls, options: Any, places: DataPlaces) -> Finding | None:
        """What lies there: quickly, nothing decoded or downloaded; None where nothing does.

        A source that does not implement it is listed as not looked for.
        """
        return Finding("not looked for")

    def published_classes(self) -> Mapping[str, Sequence[str]] | None:
        """Class names of each split as published, for ``mamlbench data verify``; None where no split was published."""
        return None

    def picture_format(self) -> PictureFormat | None:
        """What a picture of a user's own is made into, so that it is like those of this set; None without pictures."""
        shape = self.splits["test"].input_shape
        if len(shape) != 3 or shape[0] not in {1, 3} or shape[1] != shape[2]:
            return None
        return PictureFormat(shape[1], 3 if shape[0] == 3 else 1)

    @property
    def content_hash(self) -> str:
        """SHA-256 over the hashes of all splits."""
        text = ",".join(f"{name}={self.splits[name].hash}" for name in sorted(self.splits))
        return hashlib.sha256(text.encode()).hexdigest()

    def problem(self, ways: int) -> Problem:
        """The problem of one task: which loss, which score, how many outputs."""
        return Classification(ways)
