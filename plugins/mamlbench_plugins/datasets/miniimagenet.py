"""miniImageNet: 100 classes of ImageNet with 600 pictures each, as Ravi and Larochelle split them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from mamlbench.api import (
    SPLITS,
    DataPlaces,
    Finding,
    ImageStream,
    PackedImages,
    Progress,
    SourceInfo,
    TaskPool,
    TaskSource,
    ignore,
    packed_images,
    prepared_images,
)
from mamlbench.errors import DataError
from mamlbench_plugins.datasets.listing import ORIGIN, amount, classes_by_split
from mamlbench_plugins.datasets.miniimagenet_files import Place, not_found, places_to_try
from mamlbench_plugins.datasets.miniimagenet_pickles import has_pickles, read_pickles
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES, IMAGES_PER_CLASS
from mamlbench_plugins.datasets.picture_options import PictureOptions

PREPARATION_VERSION = 1
"""Raise it with every change to the prepared pictures: sets kept on disk are then made anew."""


class MiniImageNet(TaskSource):
    """84 x 84 colour photographs, from folders, archives or pickles; a part of the set will do."""

    info = SourceInfo(
        title="miniImageNet",
        licence="ImageNet's terms: non-commercial research and teaching only, no redistribution",
        citation="Vinyals et al., Matching Networks for One Shot Learning, NeurIPS 2016; split of Ravi and Larochelle, "
        "Optimization as a Model for Few-Shot Learning, ICLR 2017",
        publishable=False,
        homepage="https://www.image-net.org",
    )
    Options: ClassVar[type[PictureOptions]] = PictureOptions
    default_backbone: ClassVar[str] = "conv4-pooled"
    options: PictureOptions

    @classmethod
    def look(cls, options: PictureOptions, places: DataPlaces) -> Finding | None:
        for place in places_to_try(places):
            prepared = prepared_images(_prepared_at(places, place))
            listing = None if prepared else place.listing()
            found = prepared or (listing.stream(ignore) if listing else None)
            if found is not None:
                missing = what_is_missing(found, classes_by_split(found))
                return Finding(found.facts[ORIGIN], str(place.folder), amount(found), missing, prepared is not None)
            if has_pickles(place.pickles):
                return Finding("pickles", str(place.folder), "counted when they are prepared")
        return None

    def load(self) -> Mapping[str, TaskPool]:
        """Find the set, prepare it once, and split it as its files do.

        Raises DataError, with what to do, where it is not found or damaged, or where splits share a class.
        """
        packed = self._packed()
        classes = classes_by_split(packed)
        self.origin = packed.facts[ORIGIN]
        self.subset = what_is_missing(packed, classes)
        return self.options.pools(packed, classes)

    def published_classes(self) -> Mapping[str, Sequence[str]]:
        return CLASSES

    def _packed(self) -> PackedImages:
        for place in places_to_try(self.places):
            build = partial(_stream, place, self.places.progress)
            try:
                return packed_images(_prepared_at(self.places, place), build)
            except NotHereError:
                continue
        raise not_found(self.places)


def _prepared_at(places: DataPlaces, place: Place) -> Path:
    key = hashlib.sha256(f"{PREPARATION_VERSION}\n{place.fingerprint()}".encode()).hexdigest()[:16]
    return places.cache / f"miniimagenet-{key}.safetensors"


class NotHereError(DataError):
    """A place that holds something else."""


def _stream(place: Place, progress: Progress) -> ImageStream:
    form = place.listing() or read_pickles(place.pickles)
    if form is None:
        raise NotHereError(f"'{place.folder}' does not hold miniImageNet.")
    return form.stream(progress)


def what_is_missing(packed: PackedImages | ImageStream, classes: Mapping[str, Sequence[int]]) -> str | None:
    """How the set differs from the complete one, counts and classes; None where it does not."""
    sizes = np.diff(packed.offsets)
    found, parts = [], []
    for split in SPLITS:
        images, full = int(sizes[classes[split]].sum()), len(CLASSES[split]) * IMAGES_PER_CLASS
        if images != full:
            parts.append(f"{split} {images:,} of {full:,}")
    if parts:
        found.append(f"images: {', '.join(parts)}")
    for split in SPLITS:
        names, published = {packed.class_names[c] for c in classes[split]}, set(CLASSES[split])
        if missing := len(published - names):
            found.append(f"{missing} of the {len(published)} {split} classes missing")
        if foreign := len(names - published):
            found.append(f"{foreign} {split} classes that the published split does not have there")
    return "; ".join(found) or None
