"""Classes with their example images: the pool of every classification data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlbench.data.augmentation import Augmentation
from mamlbench.data.counter_rng import Keys, hash64, sample_without_replacement
from mamlbench.data.dataset import TaskSplit
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.data.image_cache import CachedImages, Hashes, Mapped, image_hashes
from mamlbench.errors import ConfigError, DataError
from mamlbench.objectives import Classification, Objective

Rotations = Literal["none", "episode", "classes"]
"""Multiples of 90 degrees: none; drawn per class and episode; or each rotation of a class as a class of its own."""

DEVICE_SHARE = 0.5
"""Images go to a GPU where they take no more than this share of its free memory; else they stay where they are."""

MEASURED = 2000
"""Images that the mean and the deviation of the channels are taken over."""


@dataclass(frozen=True)
class Normalization:
    """What is subtracted from each channel of pixels in [0, 1], and what the rest is divided by.

    Args:
        mean: one number for each of the C channels.
        deviation: one number for each of the C channels.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Normalize float32 ``[..., C, H, W]`` in place."""
        return x.sub_(x.new_tensor(self.mean)[:, None, None]).div_(x.new_tensor(self.deviation)[:, None, None])


@dataclass(frozen=True)
class ImageSplit(TaskSplit):
    """Classes with their example images.

    ``images`` are uint8 ``[images, C, H, W]``. Class c has ``offsets[c + 1] - offsets[c]`` of them in one piece that
    begins at row ``starts[c]``, which is ``offsets[c]`` unless given: the pools of a prepared set share its images.
    ``hashes`` uint8 ``[images, 16]`` are known where the set was prepared, else made when they are wanted.
    ``normalization`` is applied to every example, ``augmentation`` to labeled ones only.
    ``device`` is where examples go; the images may stay on the CPU, where the device has no room for them.
    ``mapped`` is the map that the images lie in, if they do.

    Raises DataError where the images are of another type or shape, or a class has none.
    """

    images: Tensor
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    rotations: Rotations = "none"
    scale: float = field(default=1 / 255)
    starts: NDArray[np.int64] | None = None
    hashes: Hashes | None = None
    normalization: Normalization | None = None
    augmentation: Augmentation | None = None
    device: torch.device | None = None
    mapped: Mapped | None = None

    @classmethod
    def of(cls, packed: CachedImages, rotations: Rotations = "none", **given: Any) -> ImageSplit:
        """Make a pool of a prepared set or of some of its classes; no image is copied."""
        return cls(
            packed.images,
            packed.offsets,
            packed.class_names,
            rotations,
            starts=packed.starts,
            hashes=packed.hashes,
            mapped=packed.mapped,
            **given,
        )

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"images must be uint8 [images, C, H, W], not {self.images.dtype} {list(self.images.shape)}."
            )
        if len(self.offsets) != len(self.class_names) + 1:
            raise DataError("there must be one offset more than classes.")
        if self.starts is None:
            object.__setattr__(self, "starts", self.offsets[:-1])
        empty = [name for name, size in zip(self.class_names, self.sizes, strict=True) if size < 1]
        if empty:
            raise DataError(f"class without images: {', '.join(empty[:10])}.")

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of images of each class, rotations not counted, as int64 ``[classes]``."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Rows of ``images`` that belong to this pool, class after class: int64 ``[images of this pool]``."""
        assert self.starts is not None
        return np.repeat(self.starts - self.offsets[:-1], self.sizes) + np.arange(self.offsets[-1])

    @cached_property
    def image_hashes(self) -> Hashes:
        """Hashes of this pool's images in the order of ``rows``: uint8 ``[images, 16]``."""
        if self.hashes is not None:
            return self.hashes[self.rows]
        return image_hashes(self.images[int(row)].cpu().numpy() for row in self.rows)

    @cached_property
    def hash(self) -> str:  # type: ignore[override]
        """SHA-256 over class names, rotations, shape and the hashes of all images."""
        known = (self.rotations, self.class_names, self.offsets.tolist(), self.input_shape)
        digest = hashlib.sha256(repr(known).encode())
        digest.update(np.ascontiguousarray(self.image_hashes).data)
        return digest.hexdigest()

    @property
    def size(self) -> int:  # type: ignore[override]
        """Number of classes, rotations counted where they are classes."""
        return len(self.class_names) * (4 if self.rotations == "classes" else 1)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape[1:])

    @property
    def objective(self) -> Objective:
        return Classification(self.size)

    def measured(self) -> Normalization:
        """Mean and standard deviation of each channel, in [0, 1], over images spread evenly over the pool."""
        rows = self.rows[np.linspace(0, len(self.rows) - 1, min(MEASURED, len(self.rows))).astype(np.int64)]
        pixels = self.images[torch.from_numpy(rows)].to(torch.float64).mul_(self.scale)  # [n, C, H, W]
        deviation, mean = torch.std_mean(pixels, (0, 2, 3), correction=0)
        return Normalization(tuple(mean.tolist()), tuple(deviation.clamp_min(1e-3).tolist()))

    def to(self, device: torch.device) -> ImageSplit:
        """Examples go to ``device``; the images of this pool too, where it has room for them."""
        if device == self.images.device or not _has_room(device, len(self.rows) * self.images[0].nbytes):
            return replace(self, device=device)
        return replace(
            self,
            images=self.images[torch.from_numpy(self.rows)].to(device),
            starts=None,
            hashes=self.image_hashes,
            device=device,
            mapped=None,
        )

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        self._check(ways, shots + queries)
        classes = sample_without_replacement(hash64(keys, 0), self.size, ways)  # [T, N]
        class_keys = hash64(hash64(keys, 1)[:, None], classes)  # [T, N]
        rows = self._rows(class_keys, classes, shots + queries)  # [T, N, K + Q]
        quarter_turns = self._quarter_turns(classes, hash64(keys, 2))  # [T, N]
        x = self._gather(rows, np.broadcast_to(quarter_turns[..., None], rows.shape))  # [T, N, K + Q, C, H, W]
        x = self._normalized(x)
        y = torch.arange(ways, device=x.device)[None, :, None].expand(x.shape[:3])  # [T, N, K + Q]
        return EpisodeBatch(
            support=Examples(x[:, :, :shots].flatten(1, 2), y[:, :, :shots].flatten(1, 2)),  # [T, N * K, ...]
            query=Examples(x[:, :, shots:].flatten(1, 2), y[:, :, shots:].flatten(1, 2)),  # [T, N * Q, ...]
            keys=torch.from_numpy(hash64(keys, 3).view(np.int64)),
        )

    def labeled(self, key: np.uint64, count: int) -> Examples:
        assert self.starts is not None
        draws = hash64(key, np.arange(count))  # [count]
        classes = (hash64(draws, 0) % np.uint64(self.size)).astype(np.int64)
        base = self._base(classes)
        rows = self.starts[base] + (hash64(draws, 1) % self.sizes[base].astype(np.uint64)).astype(np.int64)
        x = self._gather(rows, self._quarter_turns(classes, hash64(draws, 2)))  # [count, C, H, W]
        if self.augmentation is not None:
            x = self.augmentation(x, hash64(draws, 3))
        return Examples(self._normalized(x), torch.from_numpy(classes).to(x.device))

    def shown(self, images: Tensor) -> Tensor:
        """Images from elsewhere as this pool's examples are: uint8 ``[n, C, H, W]`` to float32 on the device."""
        pixels = images.to(self.device or self.images.device)
        return self._normalized(pixels.to(torch.float32).mul_(self.scale))

    def _check(self, ways: int, examples: int) -> None:
        problems = []
        if ways > self.size:
            problems.append(f"{ways} ways were asked for, and the split has {self.size} classes.")
        smallest = int(self.sizes.min())
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
        assert self.starts is not None
        starts, sizes = self.starts[self._base(classes)], self.sizes[self._base(classes)]
        largest = int(sizes.max())
        ranks = hash64(keys[..., None], np.arange(largest))  # [T, N, largest]
        ranks[np.arange(largest) >= sizes[..., None]] = np.iinfo(np.uint64).max  # classes of unequal size
        return starts[..., None] + np.argsort(ranks, axis=-1, kind="stable")[..., :count]

    def _quarter_turns(self, classes: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
        if self.rotations == "none":
            return np.zeros_like(classes)
        if self.rotations == "classes":
            return classes // len(self.class_names)
        return (hash64(keys[..., None] if keys.ndim < classes.ndim else keys, classes) % np.uint64(4)).astype(np.int64)

    def _gather(self, rows: NDArray[np.int64], quarter_turns: NDArray[np.int64]) -> Tensor:
        """Images at ``rows``, each turned, as float32 in [0, 1]: ``rows.shape + [C, H, W]``."""
        index = torch.from_numpy(np.ascontiguousarray(rows)).to(self.images.device)
        pixels = self.images[index.flatten()].to(self.device or self.images.device)  # [images, C, H, W] uint8
        if self.mapped is not None:
            self.mapped.gathered(pixels.nbytes)
        if self.rotations != "none":
            turns = torch.from_numpy(np.array(quarter_turns)).to(pixels.device).flatten()
            where = self._turned_pixels.to(pixels.device)[turns]  # [images, H * W]
            flat = pixels.flatten(2)  # [images, C, H * W]
            pixels = flat.gather(2, where[:, None].expand_as(flat)).view_as(pixels)
        return pixels.to(torch.float32).mul_(self.scale).view(*rows.shape, *self.images.shape[1:])

    def _normalized(self, x: Tensor) -> Tensor:
        return x if self.normalization is None else self.normalization(x)

    @cached_property
    def _turned_pixels(self) -> Tensor:
        """Where each pixel of an image turned 0, 90, 180, 270 degrees comes from: ``[4, H * W]``."""
        height, width = self.images.shape[2:]
        if height != width:
            raise ConfigError("rotations need square images.")
        places = torch.arange(height * width).view(height, width)
        return torch.stack([torch.rot90(places, turn).flatten() for turn in range(4)])


def _has_room(device: torch.device, size: int) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size <= DEVICE_SHARE * free
