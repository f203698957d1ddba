"""Images in the form of features that were computed once: the split of a frozen encoder."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlbench.data.image_split import ImageSplit, Normalization
from mamlbench.data.resized_split import convert_pixels
from mamlbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mamlbench.data.dataset import Dataset, TaskSplit


class FeatureCost(NamedTuple):
    """What the features of a split took to compute."""

    wall: float
    """seconds by the wall clock"""
    device: float
    """CPU seconds of the process, or seconds of the GPU"""
    cached: bool = False
    """whether an earlier run computed them"""


@dataclass(frozen=True)
class EncodedSplit(ImageSplit):
    """An ``ImageSplit`` whose examples are features: the same classes, episodes and hash as of its images.

    Args:
        features: float32 ``[1 or 4, images of the split, d]``: of each quarter turn, in the order of ``rows``.
        original: the split of the images.
        cost: of the features.

    Raises ConfigError if images are augmented, which features that were computed once cannot be.
    """

    features: Tensor = field(default_factory=lambda: torch.empty(0), kw_only=True)
    original: ImageSplit = field(default=None, kw_only=True)  # type: ignore[assignment]
    cost: FeatureCost = field(default=FeatureCost(0.0, 0.0), kw_only=True)

    @classmethod
    def of(cls, split: ImageSplit, features: Tensor, cost: FeatureCost) -> EncodedSplit:
        """Make the split of these features; of normalization there is nothing left to do."""
        if split.augmentation is not None:
            raise ConfigError(
                "A frozen encoder sees every image once, so that augmented images have no features: leave out the data "
                "set's options that augment (crop, flip, jitter)."
            )
        values = {entry.name: getattr(split, entry.name) for entry in fields(ImageSplit)}
        return cls(**{**values, "normalization": None}, features=features, original=split, cost=cost)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.features.shape[-1],)

    @property
    def hash(self) -> str:  # type: ignore[override]
        """That of the images: scores on their features are scores on them."""
        return self.original.hash

    def to(self, device: torch.device) -> EncodedSplit:
        """Return this split with its features on ``device``; the images stay where they are."""
        return replace(self, features=self.features.to(device), device=device)

    def normalize_images(self, images: Tensor) -> Tensor:
        raise ConfigError("A frozen encoder has computed its features for the images of the data set alone.")

    def _gather(self, rows: NDArray[np.int64], quarter_turns: NDArray[np.int64]) -> Tensor:
        """Read the features of the images at ``rows``: float32 ``[*rows.shape, d]``."""
        turns, count, width = self.features.shape
        index = self._positions[rows] + (np.broadcast_to(quarter_turns, rows.shape) * count if turns > 1 else 0)
        flat = torch.from_numpy(index.ravel()).to(self.features.device)
        return self.features.view(turns * count, width).index_select(0, flat).view(*rows.shape, width)

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        """Position among ``rows`` of each image: int64 ``[images]``."""
        positions = np.full(len(self.images), -1, np.int64)
        positions[self.rows] = np.arange(len(self.rows))
        return positions


def with_features(dataset: Dataset, splits: Mapping[str, EncodedSplit]) -> Dataset:
    """The data set with these splits in place of its own; everything else stays."""
    encoded = copy(dataset)
    encoded.splits = dict(splits)
    return encoded


def images_of(split: TaskSplit) -> Any:
    """The split of images that features were computed from, or the split itself."""
    return split.original if isinstance(split, EncodedSplit) else split


def network_images(
    split: ImageSplit,
    rows: NDArray[np.int64],
    quarter_turns: int,
    shape: tuple[int, ...],
    *,
    normalization: Normalization | None,
    device: torch.device,
) -> Tensor:
    """Read images at ``rows`` ``[n]``, turn, resize, recolor and normalize them: float32 ``[n, *shape]``."""
    pixels = split._gather(rows, np.full(len(rows), quarter_turns, np.int64)).to(device)
    pixels = convert_pixels(pixels, shape)
    return pixels if normalization is None else normalization(pixels)
