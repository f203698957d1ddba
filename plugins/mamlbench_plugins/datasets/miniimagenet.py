"""miniImageNet: 100 classes of ImageNet with 600 images each, as Ravi and Larochelle split them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from mamlbench.api import (
    SPLITS,
    CachedImages,
    DataPaths,
    Dataset,
    DatasetInfo,
    ImageStream,
    LocalCopy,
    ProgressCallback,
    TaskSplit,
    cached_images,
    load_cached_images,
    no_progress,
)
from mamlbench.errors import DataError
from mamlbench_plugins.datasets.image_listing import ORIGIN, amount, classes_by_split
from mamlbench_plugins.datasets.image_options import ImageOptions
from mamlbench_plugins.datasets.miniimagenet_files import OBTAIN, Place, not_found, places_to_try
from mamlbench_plugins.datasets.miniimagenet_pickles import has_pickles, read_pickles
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES, IMAGES_PER_CLASS

PREPARATION_VERSION = 1
"""Raise it with every change to the prepared images: sets kept on disk are then made anew."""


class MiniImageNet(Dataset):
    """84 x 84 color photographs, from folders, archives or pickles; a part of the set will do."""

    info = DatasetInfo(
        title="miniImageNet",
        license="ImageNet's terms: non-commercial research and teaching only, no redistribution",
        citation="Vinyals et al., Matching Networks for One Shot Learning, NeurIPS 2016; split of Ravi and Larochelle, "
        "Optimization as a Model for Few-Shot Learning, ICLR 2017",
        publishable=False,
        homepage="https://www.image-net.org",
        obtain=OBTAIN,
    )
    Options: ClassVar[type[ImageOptions]] = ImageOptions
    default_backbone: ClassVar[str] = "conv4-pooled"
    options: ImageOptions

    @classmethod
    def find_local_copy(cls, options: ImageOptions, paths: DataPaths) -> LocalCopy | None:
        for place in places_to_try(paths):
            prepared = load_cached_images(_prepared_at(paths, place))
            listing = None if prepared else place.listing()
            found = prepared or (listing.stream(no_progress) if listing else None)
            if found is not None:
                missing = what_is_missing(found, classes_by_split(found))
                return LocalCopy(
                    found.metadata[ORIGIN], str(place.folder), amount(found), missing, prepared is not None
                )
            if has_pickles(place.pickles):
                return LocalCopy("pickles", str(place.folder), "counted when they are prepared")
        return None

    def load(self) -> Mapping[str, TaskSplit]:
        """Find the set, prepare it once, and split it as its files do.

        Raises DataError, with what to do, where it is not found or damaged, or where splits share a class.
        """
        cached = self._packed()
        classes = classes_by_split(cached)
        self.origin = cached.metadata[ORIGIN]
        self.subset = what_is_missing(cached, classes)
        return self.options.pools(cached, classes)

    def published_classes(self) -> Mapping[str, Sequence[str]]:
        return CLASSES

    def _packed(self) -> CachedImages:
        for place in places_to_try(self.paths):
            build = partial(_stream, place, self.paths.progress)
            try:
                return cached_images(_prepared_at(self.paths, place), build)
            except NotHereError:
                continue
        raise not_found(self.paths)


def _prepared_at(paths: DataPaths, place: Place) -> Path:
    key = hashlib.sha256(f"{PREPARATION_VERSION}\n{place.fingerprint()}".encode()).hexdigest()[:16]
    return paths.cache / f"miniimagenet-{key}.safetensors"


class NotHereError(DataError):
    """A place that holds something else."""


def _stream(place: Place, progress: ProgressCallback) -> ImageStream:
    form = place.listing() or read_pickles(place.pickles)
    if form is None:
        raise NotHereError(f"'{place.folder}' does not hold miniImageNet.")
    return form.stream(progress)


def what_is_missing(cached: CachedImages | ImageStream, classes: Mapping[str, Sequence[int]]) -> str | None:
    """How the set differs from the complete one, counts and classes; None where it does not."""
    sizes = np.diff(cached.offsets)
    found, parts = [], []
    for split in SPLITS:
        images, full = int(sizes[classes[split]].sum()), len(CLASSES[split]) * IMAGES_PER_CLASS
        if images != full:
            parts.append(f"{split} {images:,} of {full:,}")
    if parts:
        found.append(f"images: {', '.join(parts)}")
    for split in SPLITS:
        names, published = {cached.class_names[c] for c in classes[split]}, set(CLASSES[split])
        if missing := len(published - names):
            found.append(f"{missing} of the {len(published)} {split} classes missing")
        if foreign := len(names - published):
            found.append(f"{foreign} {split} classes that the published split does not have there")
    return "; ".join(found) or None
