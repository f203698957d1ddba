"""Images of another size or number of channels than those of their data set, as a network takes them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mamlbench.data.image_split import NORMALIZATION_IMAGES, ImageSplit, Normalization

if TYPE_CHECKING:
    from mamlbench.data.dataset import Dataset

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a gray value (ITU-R BT.601, as Pillow has them)."""


@dataclass(frozen=True)
class ResizedSplit(ImageSplit):
    """An ``ImageSplit`` whose examples are resized (bilinear, antialiased) and recolored when they are read.

    ``images`` and their hashes stay those of the data set.

    Args:
        shape: of one example, ``(C, H, W)``, with C 1 or 3.
    """

    shape: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.shape

    def measure_normalization(self) -> Normalization:
        """Compute mean and standard deviation of each channel, over images spread evenly over the split."""
        rows = self.rows[:: max(1, -(-len(self.rows) // NORMALIZATION_IMAGES))]  # [n]
        pixels = self._gather(rows, torch.zeros(len(rows), dtype=torch.int64).numpy()).double()  # [n, C, H, W]
        deviation, mean = torch.std_mean(pixels, (0, 2, 3), correction=0)
        return Normalization(tuple(mean.tolist()), tuple(deviation.clamp_min(1e-3).tolist()))

    def _gather(self, rows: NDArray[Any], quarter_turns: NDArray[Any]) -> Tensor:
        """Read the images at ``rows`` and convert them: float32 ``[*rows.shape, C, H, W]``."""
        pixels = super()._gather(rows, quarter_turns).flatten(0, -4)  # [images, C, H, W] of the data set
        return convert_pixels(pixels, self.shape).view(*rows.shape, *self.shape)

    def normalize_images(self, images: Tensor) -> Tensor:
        pixels = images.to(self.device or self.images.device).to(torch.float32).mul_(self.scale)
        return self._normalize(convert_pixels(pixels, self.shape))


def convert_pixels(pixels: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Resize and recolor float32 images ``[n, C, H, W]`` to ``[n, *shape]``; C is 1 or 3 on both sides.

    Values stay within those of the images.
    """
    if pixels.shape[1] == 3 and shape[0] == 1:
        pixels = (pixels * pixels.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    if pixels.shape[-2:] != shape[1:]:
        pixels = F.interpolate(pixels, size=tuple(shape[1:]), mode="bilinear", antialias=True)
    return pixels.expand(-1, shape[0], -1, -1).contiguous()


def resized_dataset(dataset: Dataset, shape: tuple[int, ...]) -> Dataset:
    """The data set with examples of ``shape``; itself if it has that shape, or is not of gray or color images.

    If the data set normalizes channels, their mean and deviation are measured again on its training images.
    """
    splits = dataset.splits
    images = [split for split in splits.values() if isinstance(split, ImageSplit)]
    shapes = [shape, *(split.input_shape for split in images)]
    if len(images) < len(splits) or any(len(one) != 3 or one[0] not in (1, 3) for one in shapes):
        return dataset
    if all(split.input_shape == shape for split in images):
        return dataset
    resized = {name: _resized(split, shape) for name, split in splits.items() if isinstance(split, ImageSplit)}
    if resized["train"].normalization is not None:
        measured = resized["train"].measure_normalization()
        resized = {name: replace(split, normalization=measured) for name, split in resized.items()}
    other = copy(dataset)
    other.splits = resized
    return other


def _resized(split: ImageSplit, shape: tuple[int, ...]) -> ResizedSplit:
    values = {entry.name: getattr(split, entry.name) for entry in fields(ImageSplit)}
    return ResizedSplit(**values, shape=tuple(shape))
