"""What the data sets of photographs have in common: options, and the pools that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from mamlbench.api import SPLITS, Augmentation, CachedImages, ImageSplit, Options, TaskSplit
from mamlbench.errors import DataError, summarize_names


class ImageOptions(Options):
    """How images are shown to the network."""

    normalize: Literal["none", "channels"] = Field(
        "none", description="none: pixels from 0 to 1; channels: less their mean, by their deviation, over training"
    )
    crop: float = Field(
        1.0, gt=0, le=1, description="pretraining: smallest share of the area that a random crop keeps; 1: no crop"
    )
    flip: bool = Field(False, description="pretraining: mirror every other image")
    jitter: float = Field(
        0.0, ge=0, lt=1, description="pretraining: brightness, contrast and saturation vary by this share"
    )

    def pools(self, cached: CachedImages, classes: Mapping[str, Sequence[int]]) -> dict[str, TaskSplit]:
        """Make the pool of each split from the numbers of its classes.

        Raises DataError where a split has no class, or a class name is in two of them.
        """
        refuse_shared_classes({split: [cached.class_names[c] for c in classes[split]] for split in SPLITS})
        pools = {split: ImageSplit.from_cached_images(cached.select(classes[split])) for split in SPLITS}
        normalization = pools["train"].measure_normalization() if self.normalize == "channels" else None
        augmentation = Augmentation(self.crop, self.flip, self.jitter)
        return {
            split: ImageSplit.from_cached_images(
                cached.select(classes[split]),
                normalization=normalization,
                augmentation=augmentation if split == "train" and augmentation != Augmentation() else None,
            )
            for split in SPLITS
        }


def refuse_shared_classes(names: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError unless every split has classes, and none in common with another."""
    if empty := [split for split in SPLITS if not names[split]]:
        raise DataError(f"No classes for {' and '.join(empty)}: every split needs its own.")
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := sorted(set(names[first]) & set(names[second])):
            raise DataError(
                f"Classes in both {first} and {second}: {summarize_names(shared)}. The splits of a few-shot data set "
                "must share no class: move or rename them."
            )
