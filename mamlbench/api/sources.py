"""Task sources: where episodes come from. A data set is one."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlbench.api.episodes import EpisodeBatch, Examples
from mamlbench.api.hashing import Keys, draw, mix
from mamlbench.api.options import Options
from mamlbench.api.problem import Classification, Problem
from mamlbench.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")

Rotations = Literal["none", "episode", "classes"]
"""Multiples of 90 degrees: none; drawn per class and episode; or each rotation of a class as a class of its own."""


@dataclass(frozen=True)
class SourceInfo:
    """What a user should know of a data set before showing numbers or pictures of it."""

    title: str
    licence: str
    citation: str
    publishable: bool = True
    homepage: str = ""


@dataclass(frozen=True)
class DataPlaces:
    """Where a source may look for raw data and keep what it prepared.

    ``folders``: the places to look at, each with the reason it is one (``--data-dir``, ``MAMLBENCH_DATA``, ...).
    """

    folders: tuple[tuple[str, Path], ...]
    cache: Path
    allow_download: bool = True


class TaskPool(ABC):
    """One split of a source: everything its tasks are made of."""

    hash: str
    size: int

    @abstractmethod
    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Make one episode per key, a pure function of the key; more queries keep the support.

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
        """Shape of one example."""

    @property
    @abstractmethod
    def problem(self) -> Problem:
        """The pooled problem that pretraining learns: all classes of the split at once."""


@dataclass(frozen=True)
class ClassPool(TaskPool):
    """Classes with their example images.

    ``images`` are uint8 ``[images, C, H, W]``, sorted by class; class c owns ``offsets[c]:offsets[c + 1]``.
    """

    images: Tensor
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    rotations: Rotations = "none"
    scale: float = field(default=1 / 255)

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"images must be uint8 [images, C, H, W], not {self.images.dtype} {list(self.images.shape)}."
            )
        if len(self.offsets) != len(self.class_names) + 1:
            raise DataError("there must be one offset more than classes.")
        empty = [name for name, size in zip(self.class_names, np.diff(self.offsets), strict=True) if size < 1]
        if empty:
            raise DataError(f"class without images: {', '.join(empty[:10])}.")

    @cached_property
    def hash(self) -> str:  # type: ignore[override]
        """SHA-256 over class names, rotations and pixels."""
        digest = hashlib.sha256(repr((self.rotations, self.class_names, self.offsets.tolist())).encode())
        digest.update(np.ascontiguousarray(self.images.cpu().numpy()).data)
        return digest.hexdigest()

    @property
    def size(self) -> int:  # type: ignore[override]
        """Number of classes, rotations counted where they are classes."""
        return len(self.class_names) * (4 if self.rotations == "classes" else 1)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape[1:])

    @property
    def problem(self) -> Problem:
        return Classification(self.size)

    def to(self, device: torch.device) -> ClassPool:
        return ClassPool(self.images.to(device), self.offsets, self.class_names, self.rotations, self.scale)

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        self._check(ways, shots + queries)
        classes = draw(mix(keys, 0), self.size, ways)  # [T, N]
        class_keys = mix(mix(keys, 1)[:, None], classes)  # [T, N]
        rows = self._rows(class_keys, classes, shots + queries)  # [T, N, K + Q]
        quarter_turns = self._quarter_turns(classes, mix(keys, 2))  # [T, N]
        x = self._gather(rows, np.broadcast_to(quarter_turns[..., None], rows.shape))  # [T, N, K + Q, C, H, W]
        y = torch.arange(ways, device=x.device)[None, :, None].expand(x.shape[:3])  # [T, N, K + Q]
        return EpisodeBatch(
            support=Examples(x[:, :, :shots].flatten(1, 2), y[:, :, :shots].flatten(1, 2)),  # [T, N * K, ...]
            query=Examples(x[:, :, shots:].flatten(1, 2), y[:, :, shots:].flatten(1, 2)),  # [T, N * Q, ...]
            keys=torch.from_numpy(mix(keys, 3).view(np.int64)),
        )

    def labelled(self, key: np.uint64, count: int) -> Examples:
        draws = mix(key, np.arange(count))  # [count]
        classes = (mix(draws, 0) % np.uint64(self.size)).astype(np.int64)
        sizes = np.diff(self.offsets)[self._base(classes)]
        rows = self.offsets[self._base(classes)] + (mix(draws, 1) % sizes.astype(np.uint64)).astype(np.int64)
        x = self._gather(rows, self._quarter_turns(classes, mix(draws, 2)))  # [count, C, H, W]
        return Examples(x, torch.from_numpy(classes).to(x.device))

    def _check(self, ways: int, examples: int) -> None:
        problems = []
        if ways > self.size:
            problems.append(f"{ways} ways were asked for, and the split has {self.size} classes.")
        smallest = int(np.diff(self.offsets).min())
        if examples > smallest:
            problems.append(
                f"{examples} examples per class were asked for (shots + queries), and a class has {smallest}."
            )
        if problems:
            raise ConfigError(*problems)

    def _base(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        return classes % len(self.class_names)

    def _rows(self, keys: Keys, classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Draw ``count`` distinct images of each class: ``[T, N]`` to rows of ``images`` ``[T, N, count]``."""
        starts = self.offsets[self._base(classes)]
        sizes = np.diff(self.offsets)[self._base(classes)]
        largest = int(sizes.max())
        ranks = mix(keys[..., None], np.arange(largest))  # [T, N, largest]
        ranks[np.arange(largest) >= sizes[..., None]] = np.iinfo(np.uint64).max  # classes of unequal size
        return starts[..., None] + np.argsort(ranks, axis=-1, kind="stable")[..., :count]

    def _quarter_turns(self, classes: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
        if self.rotations == "none":
            return np.zeros_like(classes)
        if self.rotations == "classes":
            return classes // len(self.class_names)
        return (mix(keys[..., None] if keys.ndim < classes.ndim else keys, classes) % np.uint64(4)).astype(np.int64)

    def _gather(self, rows: NDArray[np.int64], quarter_turns: NDArray[np.int64]) -> Tensor:
        """Images at ``rows``, each turned, as float32 in [0, 1]: ``rows.shape + [C, H, W]``."""
        device = self.images.device
        index = torch.from_numpy(np.ascontiguousarray(rows)).to(device)
        pixels = self.images[index.flatten()]  # [images, C, H, W] uint8
        if self.rotations != "none":
            turns = torch.from_numpy(np.array(quarter_turns)).to(device).flatten()
            where = self._turned_pixels.to(device)[turns]  # [images, H * W]
            flat = pixels.flatten(2)  # [images, C, H * W]
            pixels = flat.gather(2, where[:, None].expand_as(flat)).view_as(pixels)
        return pixels.to(torch.float32).mul_(self.scale).view(*rows.shape, *self.images.shape[1:])

    @cached_property
    def _turned_pixels(self) -> Tensor:
        """Where each pixel of a picture turned 0, 90, 180, 270 degrees comes from: ``[4, H * W]``."""
        height, width = self.images.shape[2:]
        if height != width:
            raise ConfigError("rotations need square pictures.")
        places = torch.arange(height * width).view(height, width)
        return torch.stack([torch.rot90(places, turn).flatten() for turn in range(4)])


class TaskSource(ABC):
    """A data set: its splits, and what identifies them.

    Subclasses set ``info`` and ``Options``, and implement ``load``. ``content_hash`` must not depend on the order
    in which the file system lists files, nor on any random state.
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

    @property
    def content_hash(self) -> str:
        """SHA-256 over the hashes of all splits."""
        text = ",".join(f"{name}={self.splits[name].hash}" for name in sorted(self.splits))
        return hashlib.sha256(text.encode()).hexdigest()

    def problem(self, ways: int) -> Problem:
        """The problem of one task."""
        return Classification(ways)
