"""Split of an image data set: classes with their images, from which episodes are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
from mamlbench.data.episode_passes import draw_in_passes
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.data.image_cache import CachedImages, Hashes, MappedFile, image_hashes
from mamlbench.errors import ConfigError, DataError, summarize_names
from mamlbench.objectives import Classification, Objective

Rotations = Literal["none", "episode", "classes"]
"""Rotations by multiples of 90 degrees: none; drawn per class and episode; or every rotation of a class is a class."""

DEVICE_SHARE = 0.5
"""Largest share of a GPU's free memory that images may occupy; larger splits stay on the CPU."""

NORMALIZATION_IMAGES = 2000
"""Number of images over which mean and standard deviation of the channels are computed."""


@dataclass(frozen=True)
class Normalization:
    """Subtracts the mean of each channel of pixels in [0, 1], and divides by its standard deviation.

    Args:
        mean: one number per channel.
        deviation: standard deviation, one number per channel.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Normalize float32 ``[..., C, H, W]`` in place."""
        return x.sub_(x.new_tensor(self.mean)[:, None, None]).div_(x.new_tensor(self.deviation)[:, None, None])

    def inverse(self, x: Tensor) -> Tensor:
        """Return the pixels in [0, 1] of normalized images, float32 ``[..., C, H, W]``."""
        return x * x.new_tensor(self.deviation)[:, None, None] + x.new_tensor(self.mean)[:, None, None]


@dataclass(frozen=True)
class ImageSplit(TaskSplit):
    """One split of an image data set: its classes with their images.

    Args:
        images: uint8 ``[images, C, H, W]``; the splits of a cached data set share them.
        offsets: int64 ``[classes + 1]``; class c has ``offsets[c + 1] - offsets[c]`` images.
        class_names: one name per class.
        rotations: whether images are rotated by multiples of 90 degrees. With 'classes', class c of an episode is
            ``class_names[c % len(class_names)]``, rotated ``c // len(class_names)`` times.
        scale: factor from uint8 to float32 pixels.
        starts: int64 ``[classes]``, the row of ``images`` at which each class begins; None: ``offsets[:-1]``.
        hashes: uint8 ``[images, 16]``, from the cache; None: computed at the first use.
        normalization: applied to every example, if any.
        augmentation: applied to labeled examples, not to episodes, if any.
        device: the device of the examples; the images stay on the CPU if they do not fit there.
        mapped_file: the memory map that holds the images, if there is one.

    Raises DataError if the images have another type or shape, or a class has no image.
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
    mapped_file: MappedFile | None = None

    @classmethod
    def from_cached_images(cls, cached: CachedImages, rotations: Rotations = "none", **fields: Any) -> ImageSplit:
        """Make a split of cached images, or of some of their classes, without copying an image."""
        return cls(
            cached.images,
            cached.offsets,
            cached.class_names,
            rotations,
            starts=cached.starts,
            hashes=cached.hashes,
            mapped_file=cached.mapped_file,
            **fields,
        )

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"images must be uint8 [images, C, H, W], not {self.images.dtype} {list(self.images.shape)}."
            )
        if len(self.offsets) != len(self.class_names) + 1:
            raise DataError("offsets must have one entry more than there are classes.")
        if self.starts is None:
            object.__setattr__(self, "starts", self.offsets[:-1])
        empty = [name for name, size in zip(self.class_names, self.sizes, strict=True) if size < 1]
        if empty:
            raise DataError(f"class without images: {', '.join(empty[:10])}.")

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of images of each class, without rotations, as int64 ``[classes]``."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Rows of ``images`` that belong to this split, class after class, as int64 ``[images of this split]``."""
        assert self.starts is not None
        return np.repeat(self.starts - self.offsets[:-1], self.sizes) + np.arange(self.offsets[-1])

    @cached_property
    def image_hashes(self) -> Hashes:
        """Hashes of this split's images in the order of ``rows``, as uint8 ``[images, 16]``."""
        if self.hashes is not None:
            return self.hashes[self.rows]
        return image_hashes(self.images[int(row)].cpu().numpy() for row in self.rows)

    @cached_property
    def hash(self) -> str:  # type: ignore[override]
        """SHA-256 over class names, rotations, shape and the hashes of all images."""
        description = (self.rotations, self.class_names, self.offsets.tolist(), self.input_shape)
        digest = hashlib.sha256(repr(description).encode())
        digest.update(np.ascontiguousarray(self.image_hashes).data)
        return digest.hexdigest()

    @property
    def size(self) -> int:  # type: ignore[override]
        """Number of classes; with rotations as classes, four times the number of class names."""
        return len(self.class_names) * (4 if self.rotations == "classes" else 1)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape[1:])

    @property
    def objective(self) -> Objective:
        return Classification(self.size)

    def measure_normalization(self) -> Normalization:
        """Compute mean and standard deviation of each channel, in [0, 1], over images spread evenly over the split."""
        rows = self.rows[np.linspace(0, len(self.rows) - 1, min(NORMALIZATION_IMAGES, len(self.rows))).astype(np.int64)]
        pixels = self.images[torch.from_numpy(rows)].to(torch.float64).mul_(self.scale)  # [n, C, H, W]
        deviation, mean = torch.std_mean(pixels, (0, 2, 3), correction=0)
        return Normalization(tuple(mean.tolist()), tuple(deviation.clamp_min(1e-3).tolist()))

    def to(self, device: torch.device) -> ImageSplit:
        """Return this split with examples on ``device``, and its images too if they fit there."""
        if device == self.images.device or not _has_room(device, len(self.rows) * self.images[0].nbytes):
            return replace(self, device=device)
        return replace(
            self,
            images=self.images[torch.from_numpy(self.rows)].to(device),
            starts=None,
            hashes=self.image_hashes,
            device=device,
            mapped_file=None,
        )

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        self._require_enough(ways, shots + queries)
        classes = sample_without_replacement(hash64(keys, 0), self.size, ways)  # [T, N]
        class_keys = hash64(hash64(keys, 1)[:, None], classes)  # [T, N]
        rows = self._rows(class_keys, classes, shots + queries)  # [T, N, K + Q]
        return self._episode_batch(keys, classes, rows, shots)

    def episodes_without_replacement(
        self, key: np.uint64, numbers: NDArray[np.int64], ways: int, shots: int, queries: int
    ) -> EpisodeBatch:
        """Draw the episodes of these numbers ``[T]``: in a pass over the split each image is used at most once.

        Raises ConfigError if the split has too few classes or examples, or rotations of a class are classes.
        """
        if self.rotations == "classes":
            raise ConfigError("rotations that are classes share images: they cannot be sampled without replacement.")
        self._require_enough(ways, shots + queries)
        classes, blocks, passes = draw_in_passes(key, numbers, self.sizes // (shots + queries), ways)  # [T, N], [T, N]
        assert self.starts is not None
        order_keys = hash64(hash64(hash64(key, passes), 1)[:, None], classes)  # [T, N]: an order of each class's images
        largest = int(self.sizes[classes].max())
        rows = self._rows(order_keys, classes, largest)  # [T, N, largest]
        offsets = blocks[..., None] * (shots + queries) + np.arange(shots + queries)  # [T, N, K + Q]
        keys = hash64(hash64(key, numbers), 2)
        return self._episode_batch(keys, classes, np.take_along_axis(rows, offsets, -1), shots)

    def _episode_batch(
        self, keys: Keys, classes: NDArray[np.int64], rows: NDArray[np.int64], shots: int
    ) -> EpisodeBatch:
        """Make the episodes of classes ``[T, N]`` and images ``[T, N, K + Q]``, the support first."""
        ways = classes.shape[1]
        quarter_turns = self._quarter_turns(classes, hash64(keys, 2))  # [T, N]
        x = self._gather(rows, np.broadcast_to(quarter_turns[..., None], rows.shape))  # [T, N, K + Q, C, H, W]
        x = self._normalize(x)
        y = torch.arange(ways, device=x.device)[None, :, None].expand(x.shape[:3])  # [T, N, K + Q]
        return EpisodeBatch(
            support=Examples(x[:, :, :shots].flatten(1, 2), y[:, :, :shots].flatten(1, 2)),  # [T, N * K, ...]
            query=Examples(x[:, :, shots:].flatten(1, 2), y[:, :, shots:].flatten(1, 2)),  # [T, N * Q, ...]
            keys=torch.from_numpy(hash64(keys, 3).view(np.int64)),
            classes=torch.from_numpy(classes.astype(np.int64)),
            images=torch.from_numpy(rows.astype(np.int64)),
        )

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        return self._labeled(hash64(key, np.arange(count)))

    def labeled_batches(self, keys: Keys, count: int) -> Sequence[Examples]:
        examples = self._labeled(hash64(keys[:, None], np.arange(count)).ravel())  # [T * count]
        return [Examples(*batch) for batch in zip(*(torch.split(part, count) for part in examples), strict=True)]

    def _labeled(self, draws: Keys) -> Examples:
        """Make a labeled example of each key ``[n]``."""
        assert self.starts is not None
        of_class, of_row, of_turns = hash64(draws, np.arange(3)[:, None])  # [3, n]: one call costs as much as each
        classes = (of_class % np.uint64(self.size)).astype(np.int64)
        base = self._base_classes(classes)
        rows = self.starts[base] + (of_row % self.sizes[base].astype(np.uint64)).astype(np.int64)
        x = self._gather(rows, self._quarter_turns(classes, of_turns))  # [n, C, H, W]
        if self.augmentation is not None:
            x = self.augmentation(x, hash64(draws, 3))
        return Examples(self._normalize(x), torch.from_numpy(classes).to(x.device))

    def normalize_images(self, images: Tensor) -> Tensor:
        """Scale and normalize images as this split's examples: uint8 ``[n, C, H, W]`` to float32 on the device."""
        pixels = images.to(self.device or self.images.device)
        return self._normalize(pixels.to(torch.float32).mul_(self.scale))

    def _require_enough(self, ways: int, examples: int) -> None:
        """Raise ConfigError if there are fewer classes or examples per class."""
        problems = []
        if ways > self.size:
            problems.append(f"{ways} ways were requested, and the split has {self.size} classes.")
        small = np.flatnonzero(self.sizes < examples)
        if len(small):
            names = summarize_names(f"{self.class_names[c]} ({self.sizes[c]:,})" for c in small)
            problems.append(
                f"{examples:,} examples per class were requested (shots + queries), and {len(small):,} of "
                f"{len(self.sizes):,} classes have fewer: {names}. Request fewer, or leave these classes out "
                f"(--min-images {examples}, of data sets with the option min_images)."
            )
        if problems:
            raise ConfigError(*problems)

    def _base_classes(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into ``class_names``; with rotations as classes, every rotation of a class maps to that class."""
        return classes % len(self.class_names)

    def _rows(self, keys: Keys, classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Draw ``count`` distinct images of each class: ``[T, N]`` to rows of ``images`` ``[T, N, count]``."""
        assert self.starts is not None
        base = self._base_classes(classes)
        starts, sizes = self.starts[base], self.sizes[base]
        largest = int(sizes.max())
        ranks = hash64(keys[..., None], np.arange(largest))  # [T, N, largest]
        ranks[np.arange(largest) >= sizes[..., None]] = np.iinfo(np.uint64).max  # rows beyond a smaller class rank last
        return starts[..., None] + np.argsort(ranks, axis=-1, kind="stable")[..., :count]

    def _quarter_turns(self, classes: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
        """Quarter turns of each class, 0 to 3, with the shape of ``classes``."""
        if self.rotations == "none":
            return np.zeros_like(classes)
        if self.rotations == "classes":
            return classes // len(self.class_names)
        return (hash64(keys[..., None] if keys.ndim < classes.ndim else keys, classes) % np.uint64(4)).astype(np.int64)

    def _gather(self, rows: NDArray[np.int64], quarter_turns: NDArray[np.int64]) -> Tensor:
        """Read the images at ``rows``, rotate and scale them: float32 ``[*rows.shape, C, H, W]``."""
        index = torch.from_numpy(np.ascontiguousarray(rows)).to(self.images.device)
        # index_select copies whole images; indexing would go through their elements one by one
        pixels = self.images.index_select(0, index.flatten()).to(self.device or self.images.device)  # [images, C, H, W]
        if self.mapped_file is not None:
            self.mapped_file.count_read(pixels.nbytes)
        if self.rotations != "none":
            turns = torch.from_numpy(np.array(quarter_turns)).to(pixels.device).flatten()
            origins = self._pixel_origins.to(pixels.device).index_select(0, turns)  # [images, H * W]
            flat = pixels.flatten(2)  # [images, C, H * W]
            pixels = flat.gather(2, origins[:, None].expand_as(flat)).view_as(pixels)
        return (pixels * float(self.scale)).view(*rows.shape, *self.images.shape[1:])  # uint8 times a number is float32

    def _normalize(self, x: Tensor) -> Tensor:
        return x if self.normalization is None else self.normalization(x)

    @cached_property
    def _pixel_origins(self) -> Tensor:
        """Index of the pixel that each pixel comes from, after 0 to 3 quarter turns: ``[4, H * W]``."""
        height, width = self.images.shape[2:]
        if height != width:
            raise ConfigError("rotations need square images.")
        indices = torch.arange(height * width).view(height, width)
        return torch.stack([torch.rot90(indices, turn).flatten() for turn in range(4)])


def _has_room(device: torch.device, size: int) -> bool:
    """Whether ``size`` bytes fit into the memory of ``device``."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size <= DEVICE_SHARE * free
