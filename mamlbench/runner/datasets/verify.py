"""Verification of a data set: everything is decoded again, whatever the cache holds, and every fault is told."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mamlbench.api import SPLITS, DataPaths, Dataset, ImageSplit, ProgressCallback, no_progress
from mamlbench.errors import CacheError, DamagedImagesError, DataError, MissingDataError, summarize_names
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.datasets.open_dataset import open_dataset

ABANDONED_SECONDS = 3600.0
"""A temporary cache that is so old was left behind by a verification that was killed."""

PREFIX = ".verify-"


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``ok`` is None where it is told and not judged."""

    what: str
    ok: bool | None
    said: str


@dataclass(frozen=True)
class Verification:
    """All checks of a data set; ``damaged`` names every image that cannot be decoded."""

    name: str
    origin: str
    checks: tuple[Check, ...]
    damaged: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether any check failed."""
        return any(check.ok is False for check in self.checks)


def verify_dataset(
    name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders, progress: ProgressCallback = no_progress
) -> Verification:
    """Decode a data set afresh and check it; what the cache holds is compared with that, and replaced where it differs.

    Raises ConfigError for an unknown name or option, DataError where the set is not there or the cache cannot be used.
    """
    plugins.registry.load("dataset", name)
    earlier = ("earlier downloads", folders.cache / "downloads")
    with _temporary_cache(folders.cache) as cache:
        paths = DataPaths((*folders.data, earlier), cache, allow_download=False, progress=progress)
        try:
            dataset = open_dataset(name, options, plugins, paths)
        except (MissingDataError, CacheError):
            raise
        except DamagedImagesError as error:
            said = f"{len(error.damaged):,} cannot be decoded; nothing else could be checked"
            return Verification(name, "", (Check("images", False, said),), error.damaged)
        except DataError as error:
            return Verification(name, "", (Check("loading", False, str(error)),))
        checks = (*_check_source(dataset), *_check_cache(cache, folders.cache))
        return Verification(name, dataset.origin, checks)


def _check_source(dataset: Dataset) -> Iterator[Check]:
    pools = {split: pool for split in SPLITS if isinstance(pool := dataset.splits.get(split), ImageSplit)}
    if not pools:
        yield Check("images", None, "there are none: tasks are computed")
        return
    sizes = ", ".join(f"{split} {len(pool.rows):,}" for split, pool in pools.items())
    yield Check("images", True, f"all decoded: {sizes}")
    yield Check("complete", None, f"subset: {dataset.subset}" if dataset.subset else "yes, as far as is known")
    yield _check_disjoint(pools)
    yield _check_published(pools, dataset.published_classes())
    yield from check_duplicates(pools)


def _check_disjoint(pools: Mapping[str, ImageSplit]) -> Check:
    names = [name for pool in pools.values() for name in pool.class_names]
    shared = sorted(name for name, count in Counter(names).items() if count > 1)
    counts = ", ".join(f"{split} {len(pool.class_names):,}" for split, pool in pools.items())
    if shared:
        return Check("class-disjoint splits", False, f"in more than one split: {summarize_names(shared)}")
    return Check("class-disjoint splits", True, f"classes: {counts}; none in two splits")


def _check_published(pools: Mapping[str, ImageSplit], published: Mapping[str, Sequence[str]] | None) -> Check:
    what = "published split"
    if published is None:
        return Check(what, None, "no split by class names was published for this set")
    foreign = [
        f"{name} ({split})"
        for split, pool in pools.items()
        for name in pool.class_names
        if name not in set(published[split])
    ]
    if foreign:
        return Check(
            what, False, f"{len(foreign):,} classes where the published split has none such: {summarize_names(foreign)}"
        )
    missing = sum(len(published[split]) - len(pool.class_names) for split, pool in pools.items())
    if missing:
        return Check(what, None, f"{missing:,} classes of the published split are missing; the others are where it has")
    return Check(what, True, "exactly its classes")


def check_duplicates(pools: Mapping[str, ImageSplit]) -> Iterator[Check]:
    """Count images with the same pixels: across splits, where a test image was trained on, and within one."""
    hashes = np.concatenate([pool.image_hashes for pool in pools.values()])  # [images, 16]
    whole = np.ascontiguousarray(hashes).view(np.dtype((np.void, hashes.shape[1])))[:, 0]
    _, inverse, counts = np.unique(whole, return_inverse=True, return_counts=True)
    owners = [f"{name} ({split})" for split, pool in pools.items() for name in pool.class_names]
    of_image = np.repeat(np.arange(len(owners)), np.concatenate([pool.sizes for pool in pools.values()]))
    splits = np.repeat(np.arange(len(pools)), [len(pool.rows) for pool in pools.values()])
    groups = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
    across, within = [], 0
    for images in (group for group in groups if len(group) > 1):
        if len(set(splits[images])) > 1:
            across.append(" = ".join(dict.fromkeys(owners[owner] for owner in of_image[images])))
        else:
            within += len(images) - 1
    said = f"{len(across):,}" + (f": {summarize_names(across)}" if across else "")
    yield Check("images in two splits", None, said)
    yield Check("copies within a split", None, f"{within:,}")


def _check_cache(fresh: Path, cache: Path) -> Iterator[Check]:
    """Compare with what the cache holds under the same key; keep what was prepared just now where it is new."""
    for path in sorted(fresh.glob("*.safetensors")):
        prepared = cache / path.name
        if not prepared.is_file():
            path.replace(prepared)
            yield Check("prepared copy", None, f"there was none; it is '{prepared}' now")
        elif filecmp.cmp(path, prepared, shallow=False):
            yield Check("prepared copy", True, f"'{prepared}' is what the files decode to")
        else:
            path.replace(prepared)
            said = "was damaged, or made by another version of Pillow; it has been replaced: repeat what was run on it"
            yield Check("prepared copy", False, f"'{prepared}' {said}")


@contextmanager
def _temporary_cache(cache: Path) -> Iterator[Path]:
    """An empty folder in the cache folder, so that what is prepared in it can be kept by renaming."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for left in cache.glob(f"{PREFIX}*"):
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=cache)
    except OSError as error:
        raise CacheError(
            f"The cache folder '{cache}' cannot be written ({error.strerror}): "
            "set MAMLBENCH_CACHE to a folder that can be."
        ) from error
    with folder as path:
        yield Path(path)
