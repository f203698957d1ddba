"""Verification of a data set: decodes everything again, and checks splits, duplicates and the cache."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mamlbench.api import SPLITS, DataPaths, Dataset, ImageSplit, ProgressCallback, no_progress
from mamlbench.atomic_write import is_abandoned
from mamlbench.errors import CacheError, DamagedImagesError, DataError, MissingDataError, summarize_names
from mamlbench.plugin import Plugins
from mamlbench.process_identity import owner_name
from mamlbench.run_spec import Folders
from mamlbench.runner.datasets.open_dataset import dataset_options, open_dataset

PREFIX = ".verify-"


@dataclass(frozen=True)
class DatasetCheck:
    """One check of a data set.

    Args:
        name: what was checked.
        ok: whether it passed; None if the check only reports.
        result: what it found, in words.
    """

    name: str
    ok: bool | None
    result: str


@dataclass(frozen=True)
class DatasetVerification:
    """All checks of a data set; ``damaged`` names every image that cannot be decoded."""

    name: str
    origin: str
    checks: tuple[DatasetCheck, ...]
    damaged: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether any check failed."""
        return any(check.ok is False for check in self.checks)


def verify_dataset(
    name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders, progress: ProgressCallback = no_progress
) -> DatasetVerification:
    """Decode a data set into a new cache file and check it; replace the existing cache file if it differs.

    Raises ConfigError for an unknown name or option, DataError if the data are missing or the cache cannot be used.
    """
    plugins.registry.load("dataset", name)
    downloads = ("earlier downloads", folders.cache / "downloads")
    with _temporary_cache(folders.cache) as cache:
        paths = DataPaths((*folders.data, downloads), cache, allow_download=False, progress=progress)
        try:
            dataset = open_dataset(name, dataset_options(name, plugins, options), plugins, paths)
        except (MissingDataError, CacheError):
            raise
        except DamagedImagesError as error:
            result = f"{len(error.damaged):,} cannot be decoded; the other checks were not possible"
            return DatasetVerification(name, "", (DatasetCheck("images", False, result),), error.damaged)
        except DataError as error:
            return DatasetVerification(name, "", (DatasetCheck("loading", False, str(error)),))
        checks = (*_check_dataset(dataset), *_check_cache(cache, folders.cache))
        return DatasetVerification(name, dataset.origin, checks)


def _check_dataset(dataset: Dataset) -> Iterator[DatasetCheck]:
    splits = {name: split for name in SPLITS if isinstance(split := dataset.splits.get(name), ImageSplit)}
    if not splits:
        yield DatasetCheck("images", None, "none: the tasks are computed")
        return
    sizes = ", ".join(f"{name} {len(split.rows):,}" for name, split in splits.items())
    yield DatasetCheck("images", True, f"all decoded: {sizes}")
    complete = f"subset: {dataset.subset}" if dataset.subset else "yes, as far as is known"
    yield DatasetCheck("complete", None, complete)
    yield _check_disjoint(splits)
    yield _check_published(splits, dataset.published_classes())
    yield from check_duplicates(splits)


def _check_disjoint(splits: Mapping[str, ImageSplit]) -> DatasetCheck:
    class_counts = Counter(name for split in splits.values() for name in split.class_names)
    shared = sorted(name for name, count in class_counts.items() if count > 1)
    if shared:
        return DatasetCheck("class-disjoint splits", False, f"in more than one split: {summarize_names(shared)}")
    sizes = ", ".join(f"{name} {len(split.class_names):,}" for name, split in splits.items())
    return DatasetCheck("class-disjoint splits", True, f"classes: {sizes}; none in two splits")


def _check_published(splits: Mapping[str, ImageSplit], published: Mapping[str, Sequence[str]] | None) -> DatasetCheck:
    check = "published split"
    if published is None:
        return DatasetCheck(check, None, "no split by class names was published for this data set")
    misplaced = [
        f"{class_name} ({name})"
        for name, split in splits.items()
        for class_name in split.class_names
        if class_name not in set(published[name])
    ]
    if misplaced:
        names = summarize_names(misplaced)
        return DatasetCheck(check, False, f"{len(misplaced):,} classes that the published split has elsewhere: {names}")
    missing = sum(len(published[name]) - len(split.class_names) for name, split in splits.items())
    if missing:
        return DatasetCheck(check, None, f"{missing:,} classes of the published split are missing; the others match")
    return DatasetCheck(check, True, "exactly its classes")


def check_duplicates(splits: Mapping[str, ImageSplit]) -> Iterator[DatasetCheck]:
    """Count images with equal pixels: across splits, where a test image was trained on, and within a split."""
    hashes = np.concatenate([split.image_hashes for split in splits.values()])  # [images, 16]
    hash_values = np.ascontiguousarray(hashes).view(np.dtype((np.void, hashes.shape[1])))[:, 0]  # [images]
    _, inverse, counts = np.unique(hash_values, return_inverse=True, return_counts=True)
    class_names = [f"{class_name} ({name})" for name, split in splits.items() for class_name in split.class_names]
    class_sizes = np.concatenate([split.sizes for split in splits.values()])
    class_of_image = np.repeat(np.arange(len(class_names)), class_sizes)  # [images]
    split_of_image = np.repeat(np.arange(len(splits)), [len(split.rows) for split in splits.values()])
    groups = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
    across, within = [], 0
    for images in (group for group in groups if len(group) > 1):
        if len(set(split_of_image[images])) > 1:
            across.append(" = ".join(dict.fromkeys(class_names[number] for number in class_of_image[images])))
        else:
            within += len(images) - 1
    names = f" (refused by run without --allow-leak): {summarize_names(across)}" if across else ""
    yield DatasetCheck("images in two splits", None, f"{len(across):,}{names}")
    yield DatasetCheck("copies within a split", None, f"{within:,}")


def _check_cache(new_cache: Path, cache: Path) -> Iterator[DatasetCheck]:
    """Compare the new cache files with the existing ones; keep the new file if there is none or it differs."""
    for path in sorted(new_cache.glob("*.safetensors")):
        existing = cache / path.name
        if not existing.is_file():
            path.replace(existing)
            yield DatasetCheck("cache", None, f"there was no file; it is '{existing}' now")
        elif filecmp.cmp(path, existing, shallow=False):
            yield DatasetCheck("cache", True, f"'{existing}' equals the decoded files")
        else:
            path.replace(existing)
            reason = "was damaged, or made by another version of Pillow; it is replaced: repeat the runs that used it"
            yield DatasetCheck("cache", False, f"'{existing}' {reason}")


@contextmanager
def _temporary_cache(cache: Path) -> Iterator[Path]:
    """Make an empty folder inside the cache folder, so that its files can be kept by renaming."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for abandoned in cache.glob(f"{PREFIX}*"):
            owner, _, _ = abandoned.name.removeprefix(PREFIX).partition(".")
            with suppress(FileNotFoundError):  # another process removed it first
                if is_abandoned(abandoned, owner):
                    shutil.rmtree(abandoned, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{owner_name()}.", dir=cache)
    except OSError as error:
        raise CacheError(
            f"The cache folder '{cache}' cannot be written ({error.strerror}): "
            "set MAMLBENCH_CACHE to a writable folder."
        ) from error
    with folder as path:
        yield Path(path)
