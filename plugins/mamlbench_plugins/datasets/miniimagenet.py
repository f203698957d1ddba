"""miniImageNet: 100 classes of ImageNet with 600 images each, as Ravi and Larochelle split them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np

from mamlbench.api import (
    SPLITS,
    CachedImages,
    DataError,
    DataPaths,
    Dataset,
    DatasetInfo,
    ImageStream,
    LocalCopy,
    ProgressCallback,
    TaskSplit,
    no_progress,
)
from mamlbench_plugins.datasets.image_listing import ORIGIN, ImageListing, classes_by_split, describe_amount
from mamlbench_plugins.datasets.image_options import ImageOptions
from mamlbench_plugins.datasets.miniimagenet_files import OBTAIN, CandidateFolder, candidate_folders, not_found
from mamlbench_plugins.datasets.miniimagenet_pickles import PickledImages, has_pickles, read_pickles
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES, IMAGES_PER_CLASS

NAME = "miniimagenet"
"""Beginning of the names of prepared files."""

PREPARATION_VERSION = 2
"""Increase it with every change of the prepared images, so that cached files are made again."""


class MiniImageNet(Dataset):
    """84 x 84 color photographs, from folders, archives or pickles; a subset can be used too."""

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
        for candidate in candidate_folders(paths):
            cached = paths.load_cached(NAME, candidate.raw_files(), (PREPARATION_VERSION,))
            listing = None if cached else candidate.listing()
            images = cached or (listing.stream(no_progress) if listing else None)
            if images is not None:
                subset = missing_parts(images, classes_by_split(images))
                amount = describe_amount(images)
                return LocalCopy(images.metadata[ORIGIN], str(candidate.folder), amount, subset, cached is not None)
            if has_pickles(candidate.pickles):
                return LocalCopy("pickles", str(candidate.folder), "counted when they are prepared")
        return None

    def load(self) -> Mapping[str, TaskSplit]:
        """Find the data set, prepare it once, and split it as its files do.

        Raises DataError, with what to do, if it is missing or damaged.
        """
        cached = self._cached_images()
        classes = classes_by_split(cached)
        self.origin = cached.metadata[ORIGIN]
        differences = (missing_parts(cached, classes), self.options.left_out_classes(cached, classes))
        self.subset = "; ".join(filter(None, differences)) or None
        return self.options.make_splits(cached, classes)

    def published_classes(self) -> Mapping[str, Sequence[str]]:
        return CLASSES

    def _cached_images(self) -> CachedImages:
        for candidate in candidate_folders(self.paths):
            files, settings = candidate.raw_files(), (PREPARATION_VERSION,)
            prepared = self.paths.load_cached(NAME, files, settings) is not None
            images = None if prepared else candidate.listing() or read_pickles(candidate.pickles)
            if prepared or images is not None:
                build = partial(_stream, candidate, images, self.paths.progress)
                return self.paths.cached(NAME, files, settings, build)
        raise not_found(self.paths)


Images = ImageListing | PickledImages


def _stream(candidate: CandidateFolder, images: Images | None, progress: ProgressCallback) -> ImageStream:
    """Stream what was found in the candidate folder; look again if its prepared images were found to be damaged."""
    images = images or candidate.listing() or read_pickles(candidate.pickles)
    if images is None:
        raise DataError(f"'{candidate.folder}' does not hold miniImageNet any more.")
    return images.stream(progress)


def missing_parts(images: CachedImages | ImageStream, classes: Mapping[str, Sequence[int]]) -> str | None:
    """Describe how counts and classes differ from the complete data set; None if they do not.

    Args:
        images: the images.
        classes: indices of the classes of each split.
    """
    sizes = np.diff(images.offsets)
    differences, incomplete = [], []
    for split in SPLITS:
        count, complete = int(sizes[classes[split]].sum()), len(CLASSES[split]) * IMAGES_PER_CLASS
        if count != complete:
            incomplete.append(f"{split} {count:,} of {complete:,}")
    if incomplete:
        differences.append(f"images: {', '.join(incomplete)}")
    for split in SPLITS:
        names, published = {images.class_names[c] for c in classes[split]}, set(CLASSES[split])
        if missing := len(published - names):
            differences.append(f"{missing} of the {len(published)} {split} classes missing")
        if additional := len(names - published):
            differences.append(f"{additional} {split} classes that are not in the published split")
    return "; ".join(differences) or None
