"""CIFAR-FS and FC100: two few-shot splits of CIFAR-100, 100 classes with 600 images each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mamlbench.api import (
    SPLITS,
    CachedImages,
    DataPaths,
    Dataset,
    DatasetInfo,
    LocalCopy,
    MissingDataError,
    TaskSplit,
    summarize_names,
)
from mamlbench_plugins.datasets import cifar_split
from mamlbench_plugins.datasets.archives import FolderStore, Store
from mamlbench_plugins.datasets.cifar_files import FILES, download, find_files, stream
from mamlbench_plugins.datasets.downloads import downloaded, searched_folders
from mamlbench_plugins.datasets.image_listing import describe_amount
from mamlbench_plugins.datasets.image_options import ImageOptions

PREPARATION_VERSION = 1
"""Increase it with every change of the prepared images, so that cached files are made again."""

LICENSE = "none stated by its authors; they ask to cite the report"
SOURCE = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, 2009"
HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
OBTAIN = (
    "'mamlbench data prepare cifar-fs' (or fc100), or the first run, downloads CIFAR-100 (169 MB); or name the "
    "folder that holds cifar-100-python or cifar-100-python.tar.gz with --data-dir, MAMLBENCH_DATA or data_dir in "
    "mamlbench.toml"
)


class CIFARFS(Dataset):
    """32 x 32 color photographs of CIFAR-100: 64 classes to train on, 16 to validate, 20 to test, drawn at random."""

    info = DatasetInfo(
        title="CIFAR-FS",
        license=LICENSE,
        citation=f"{SOURCE}; split of Bertinetto et al., Meta-learning with differentiable closed-form solvers, "
        "ICLR 2019",
        publishable=False,
        homepage=HOMEPAGE,
        obtain=OBTAIN,
    )
    Options: ClassVar[type[ImageOptions]] = ImageOptions
    default_backbone: ClassVar[str] = "conv4-pooled"
    classes: ClassVar[Mapping[str, Sequence[str]]] = cifar_split.CIFAR_FS
    options: ImageOptions

    @classmethod
    def find_local_copy(cls, options: ImageOptions, paths: DataPaths) -> LocalCopy | None:
        store = find_files(paths)
        if store is None:
            return None
        cached = paths.load_cached("cifar100", store.raw_files(FILES), (PREPARATION_VERSION,))
        if cached is None:
            return LocalCopy(_form(store), str(store.path), "counted when it is prepared")
        return LocalCopy(_form(store), str(store.path), describe_amount(cached), cls._missing_parts(cached), True)

    def load(self) -> Mapping[str, TaskSplit]:
        """Find CIFAR-100 or download it, prepare it once for CIFAR-FS and FC100, and select the classes of each split.

        Raises DataError, with what to do, if files are missing or damaged.
        """
        store = find_files(self.paths) or downloaded(self.paths, download, find_files, _missing)
        self.origin = _form(store)
        cached = self.paths.cached(
            "cifar100",
            store.raw_files(FILES),
            (PREPARATION_VERSION,),
            lambda: stream(store, self.paths.progress),
        )
        index = {name: c for c, name in enumerate(cached.class_names)}
        classes = {split: [index[name] for name in self.classes[split] if name in index] for split in SPLITS}
        differences = (self._missing_parts(cached), self.options.left_out_classes(cached, classes))
        self.subset = "; ".join(filter(None, differences)) or None
        return self.options.make_splits(cached, classes)

    def published_classes(self) -> Mapping[str, Sequence[str]]:
        return self.classes

    @classmethod
    def _missing_parts(cls, cached: CachedImages) -> str | None:
        """Describe how the data set differs from the complete one; None if it does not."""
        incomplete = []
        sizes = dict(zip(cached.class_names, np.diff(cached.offsets).tolist(), strict=True))
        for split in SPLITS:
            images = sum(sizes.get(name, 0) for name in cls.classes[split])
            full = len(cls.classes[split]) * cifar_split.IMAGES_PER_CLASS
            if images != full:
                incomplete.append(f"{split} {images:,} of {full:,}")
        return f"images: {', '.join(incomplete)}" if incomplete else None


class FC100(CIFARFS):
    """32 x 32 color photographs of CIFAR-100: 12 of its 20 superclasses to train on, 4 to validate, 4 to test.

    60, 20 and 20 classes. No superclass is in two splits, so that test classes do not resemble training classes.
    """

    info = DatasetInfo(
        title="Fewshot-CIFAR100 (FC100)",
        license=LICENSE,
        citation=f"{SOURCE}; split of Oreshkin et al., TADAM: Task dependent adaptive metric for improved few-shot "
        "learning, NeurIPS 2018",
        publishable=False,
        homepage=HOMEPAGE,
        obtain=OBTAIN,
    )
    classes: ClassVar[Mapping[str, Sequence[str]]] = cifar_split.FC100


def _form(store: Store) -> str:
    return "CIFAR-100 in a folder" if isinstance(store, FolderStore) else "CIFAR-100 in an archive"


def _missing(paths: DataPaths, why: str) -> MissingDataError:
    searched = summarize_names([f"'{path}' ({reason})" for reason, path in searched_folders(paths)])
    return MissingDataError(
        f"CIFAR-100 was not found in {searched}, and {why}: name the folder that holds cifar-100-python or "
        "cifar-100-python.tar.gz with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml."
    )
