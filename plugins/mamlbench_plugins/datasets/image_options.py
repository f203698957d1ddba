"""Options that the data sets of photographs share, and the splits made with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from mamlbench.api import (
    SPLITS,
    Augmentation,
    CachedImages,
    DataError,
    ImageSplit,
    Options,
    TaskSplit,
    summarize_names,
)


class ImageOptions(Options):
    """Which classes are used, and how images are normalized and augmented."""

    min_images: int = Field(1, ge=1, description="leave out classes with fewer images, as --min-images does")
    normalize: Literal["none", "channels"] = Field(
        "none",
        description="none: pixels from 0 to 1; channels: mean 0 and deviation 1 in each channel, over training images",
    )
    crop: float = Field(
        1.0, gt=0, le=1, description="pretraining: smallest share of the area that a random crop keeps; 1: no crop"
    )
    flip: bool = Field(False, description="pretraining: mirror half of the images, at random")
    jitter: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="pretraining: random change of brightness, contrast and saturation, up to this share",
    )

    def left_out_classes(self, cached: CachedImages, classes: Mapping[str, Sequence[int]]) -> str | None:
        """Name the classes with fewer than ``min_images`` images, by split; None if there are none."""
        sizes = np.diff(cached.offsets)
        names = [
            f"{cached.class_names[c]} ({split}, {sizes[c]:,})"
            for split in SPLITS
            for c in classes[split]
            if sizes[c] < self.min_images
        ]
        if not names:
            return None
        count = f"{len(names):,} class{'es' if len(names) > 1 else ''}"
        return f"{count} with fewer than {self.min_images:,} images left out: {summarize_names(names)}"

    def make_splits(self, cached: CachedImages, classes: Mapping[str, Sequence[int]]) -> dict[str, TaskSplit]:
        """Make the splits from the indices of their classes, without those of fewer than ``min_images`` images.

        Raises DataError if a split has no class.
        """
        sizes = np.diff(cached.offsets)
        classes = {split: [c for c in classes[split] if sizes[c] >= self.min_images] for split in SPLITS}
        refuse_empty_splits(classes)
        train = ImageSplit.from_cached_images(cached.select(classes["train"]))
        normalization = train.measure_normalization() if self.normalize == "channels" else None
        augmentation = Augmentation(self.crop, self.flip, self.jitter)
        return {
            split: ImageSplit.from_cached_images(
                cached.select(classes[split]),
                normalization=normalization,
                augmentation=augmentation if split == "train" and augmentation != Augmentation() else None,
            )
            for split in SPLITS
        }


def refuse_empty_splits(classes: Mapping[str, Sequence[int]]) -> None:
    """Raise DataError if a split has no class."""
    if empty := [split for split in SPLITS if not classes[split]]:
        raise DataError(f"No classes for {' and '.join(empty)}: every split needs its own.")
