"""The contract of a data set."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import SPLITS, DataPaths, Dataset, EpisodeBatch, ImageSplit, Keys, TaskSplit, hash64, seed_key
from mamlbench.errors import ConfigError, DataError
from mamlbench.testing.checks import Check, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import global_seed, same

SHOTS, QUERIES, TASKS = 1, 1, 4
MAX_INPUT = 100.0
"""Largest allowed absolute value of an input."""

MOST_WAYS = 10_000
"""Largest split of which an episode with too many ways is requested."""
MAX_DUPLICATES = 0.05
"""Fraction of images that may be duplicates: real collections contain some images twice."""


class DatasetSubject:
    """Loads a data set.

    Args:
        plugin: the class under test.
        paths: locations of its files and the cache; by default no files and a temporary cache.
        **options: options that differ from their defaults.
    """

    def __init__(self, plugin: type[Dataset], paths: DataPaths | None = None, **options: Any) -> None:
        self.plugin = plugin
        self.changed_options = options
        self._folder = Path(tempfile.mkdtemp(prefix="mamlbench-check-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.paths = paths or DataPaths((), self._folder / "cache")
        self._missing: DataError | None = None

    def load(self, paths: DataPaths) -> Dataset:
        """Load the data set from ``paths``."""
        return self.plugin(self.plugin.Options.model_validate(self.changed_options), paths)

    def load_uncached(self) -> Dataset:
        """Load the data set without a prepared cache, but with earlier downloads."""
        cache = self.paths.cache
        folders = (*self.paths.folders, ("earlier downloads", cache / "downloads"), ("cache", cache))
        uncached = self._folder / "uncached"
        return self.load(replace(self.paths, folders=folders, cache=uncached, allow_download=False))

    @property
    def dataset(self) -> Dataset:
        """The data set, loaded once. Raises DataError if it is missing."""
        if self._missing is not None:
            raise self._missing
        try:
            return self._dataset
        except DataError as error:
            self._missing = error
            raise

    @cached_property
    def _dataset(self) -> Dataset:
        return self.load(self.paths)

    @property
    def ways(self) -> int:
        """Number of classes per episode."""
        if self.plugin.kind != "classification":
            return 1
        return min(5, *(task_split.size for task_split in self.dataset.splits.values()))

    def keys(self, count: int = TASKS) -> Keys:
        """Return keys of ``count`` episodes: uint64 ``[count]``."""
        return hash64(seed_key("check"), np.arange(count))

    def episodes(self, split: str, keys: Keys | None = None, queries: int = QUERIES) -> EpisodeBatch:
        """Draw episodes of a split, one per key: support x ``[T, ways * 2, *input_shape]``."""
        return self.dataset.splits[split].episodes(self.keys() if keys is None else keys, self.ways, SHOTS, queries)


def can_be_loaded_and_drawn_from(subject: DatasetSubject) -> None:
    """It can be loaded with its default options, and an episode can be drawn from its test split."""
    subject.episodes("test")


def license_and_source_are_named(subject: DatasetSubject) -> None:
    """info has a title, a license and a citation."""
    info = getattr(subject.plugin, "info", None)
    ensure(info is not None, "there is no info")
    empty = [name for name in ("title", "license", "citation") if not getattr(info, name).strip()]
    ensure(not empty, f"info lacks {', '.join(empty)}")


def splits_are_complete(subject: DatasetSubject) -> None:
    """The splits are train, val and test; none is empty, and each has a different hash."""
    splits = subject.dataset.splits
    ensure(set(splits) == set(SPLITS), f"splits are {', '.join(splits)}, not {', '.join(SPLITS)}")
    empty = [name for name, task_split in splits.items() if task_split.size < 1]
    ensure(not empty, f"empty splits: {', '.join(empty)}")
    hashes = [splits[name].hash for name in SPLITS]
    ensure(len(set(hashes)) == len(SPLITS), "two splits have the same hash")
    ensure(len({splits[name].input_shape for name in SPLITS}) == 1, "splits have different input shapes")


def splits_share_no_classes(subject: DatasetSubject) -> None:
    """No class and no image is in two splits."""
    names: dict[str, str] = {}
    images: dict[bytes, str] = {}
    for split in SPLITS:
        task_split = subject.dataset.splits[split]
        if not isinstance(task_split, ImageSplit):
            raise NotApplicable("its splits do not list classes")
        repeated = [name for name in task_split.class_names if name in names]
        ensure(not repeated, f"class '{repeated[0] if repeated else ''}' is in {split} and in another split")
        names |= dict.fromkeys(task_split.class_names, split)
    for split in SPLITS:
        task_split = subject.dataset.splits[split]
        assert isinstance(task_split, ImageSplit)
        own = {row.tobytes() for row in task_split.image_hashes}
        repeated = [images[hash_] for hash_ in own if hash_ in images]
        message = f"{len(repeated)} of {len(own)} images of {split} are also in {repeated[:1]}"
        ensure(len(repeated) <= MAX_DUPLICATES * len(own), message)
        images |= dict.fromkeys(own, split)


def hash_depends_only_on_the_content(subject: DatasetSubject) -> None:
    """Preparing the data again gives the same hash, with folders listed in another order and other random states."""
    expected = subject.dataset.content_hash
    with _reversed_listings(), global_seed(99):
        again = subject.load_uncached()
    ensure(again.content_hash == expected, "content_hash differs")
    first, second = (
        dataset.splits["test"].episodes(subject.keys(), subject.ways, SHOTS, QUERIES)
        for dataset in (subject.dataset, again)
    )
    ensure(_equal(first, second), "the same key draws a different episode")


def episodes_are_well_formed(subject: DatasetSubject) -> None:
    """Inputs are finite float32, or int64, of the declared shape; labels are 0 to ways - 1 in equal numbers."""
    ways, kind = subject.ways, subject.plugin.kind
    outputs = subject.dataset.objective(ways).outputs
    for split in SPLITS:
        task_split, batch = subject.dataset.splits[split], subject.episodes(split)
        ensure(batch.keys.shape == (TASKS,) and batch.keys.dtype == torch.int64, f"{split}: keys are not int64 [T]")
        for part, per_class in ((batch.support, SHOTS), (batch.query, QUERIES)):
            _ensure_inputs(part.x, (TASKS, ways * per_class, *task_split.input_shape), split)
            if kind != "classification":
                targets = 1 if kind == "reinforcement" else outputs  # outputs are actions, and nothing is aimed at
                _ensure_targets(part.y, (TASKS, ways * per_class, targets), kind, split)
                continue
            ensure(part.y.dtype == torch.int64, f"{split}: labels are {part.y.dtype}, not int64")
            expected = torch.arange(ways).repeat_interleave(per_class)
            valid = [bool(torch.equal(row.sort().values.cpu(), expected)) for row in part.y]
            ensure(all(valid), f"{split}: labels are {part.y[0].tolist()}, not 0 to {ways - 1} in equal numbers")
        if batch.classes is not None:
            _ensure_classes(batch.classes, ways, task_split.size, split)
    ensure(kind != "classification" or outputs == ways, f"objective({ways}) has {outputs} outputs")


def queries_are_not_in_the_support_set(subject: DatasetSubject) -> None:
    """Query examples are not in the support set of their episode."""
    batch = subject.episodes("test", subject.keys(25))
    equal, total = 0, 0
    for support, query in zip(batch.support.x, batch.query.x, strict=True):
        total += len(query)
        equal += sum(any(torch.equal(image, known) for known in support) for image in query)
    ensure(equal <= MAX_DUPLICATES * total, f"{equal} of {total} query examples are in their own support set")


def episodes_depend_only_on_their_keys(subject: DatasetSubject) -> None:
    """An episode is the same alone, in a batch and in another order."""
    keys = subject.keys()
    with global_seed(1):
        whole = subject.episodes("train", keys)
    with global_seed(2):
        reverse = subject.episodes("train", keys[::-1].copy())
        alone = subject.episodes("train", keys[1:2])
    flipped = EpisodeBatch(*(_map(part, lambda leaf: leaf.flip(0)) for part in reverse))
    ensure(_equal(whole, flipped), "episodes differ if drawn in another order")
    second = EpisodeBatch(*(_map(part, lambda leaf: leaf[1:2]) for part in whole))
    ensure(_equal(second, alone), "an episode drawn alone differs from the one in a batch")
    distinct = len({support.numpy().tobytes() for support in whole.support.x.cpu()})
    ensure(distinct > 1, "all keys draw the same episode")


def more_queries_keep_the_support_set(subject: DatasetSubject) -> None:
    """More queries do not change the support set."""
    fewer, more = (subject.episodes("test", queries=queries) for queries in (QUERIES, QUERIES + 2))
    ensure(same(fewer.support.x, more.support.x), "the support set changes with more queries")


def labeled_examples_are_well_formed(subject: DatasetSubject) -> None:
    """Labeled examples of the whole split, for pretraining, depend only on their key; ConfigError if there are none."""
    task_split = subject.dataset.splits["train"]
    key = seed_key("check", "labeled")
    try:
        first, again = task_split.labeled_examples(key, 6), task_split.labeled_examples(key, 6)
    except ConfigError as error:
        raise NotApplicable(f"has no labeled examples for pretraining: {error}") from error
    _ensure_inputs(first.x, (6, *task_split.input_shape), "labeled")
    ensure(same(first.x, again.x) and same(first.y, again.y), "the same key draws different examples")
    if subject.plugin.kind == "classification":
        valid = bool(((first.y >= 0) & (first.y < task_split.objective.outputs)).all())
        ensure(
            valid and first.y.dtype == torch.int64,
            f"labels {first.y.tolist()} of {task_split.objective.outputs} classes",
        )


def labeled_batches_are_the_labeled_examples(subject: DatasetSubject) -> None:
    """Batches of labeled examples drawn together are those drawn one by one."""
    task_split = subject.dataset.splits["train"]
    keys = hash64(seed_key("check", "labeled batches"), np.arange(3))
    try:
        singly = [task_split.labeled_examples(key, 4) for key in keys]
    except ConfigError as error:
        raise NotApplicable(f"has no labeled examples for pretraining: {error}") from error
    together = task_split.labeled_batches(keys, 4)
    equal = [same(one.x, other.x) and same(one.y, other.y) for one, other in zip(singly, together, strict=True)]
    ensure(all(equal), "labeled_batches differs from labeled_examples of the same keys")


def too_many_ways_raise_config_error(subject: DatasetSubject) -> None:
    """Requesting more classes than the split has raises ConfigError."""
    task_split: TaskSplit = subject.dataset.splits["val"]
    if task_split.size > MOST_WAYS:
        raise NotApplicable(f"an episode of {task_split.size + 1} ways would not fit in memory")
    try:
        task_split.episodes(subject.keys(), task_split.size + 1, SHOTS, QUERIES)
    except ConfigError:
        return
    ensure(False, f"{task_split.size + 1} ways were accepted, but the split has {task_split.size} classes")


@contextmanager
def _reversed_listings() -> Iterator[None]:
    """Patch os.listdir and os.scandir to list every folder in reverse alphabetical order."""
    listdir, scandir = os.listdir, os.scandir

    class ReversedScandir:
        """The result of os.scandir in reverse order."""

        def __init__(self, *arguments: Any) -> None:
            with scandir(*arguments) as entries:
                self._entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def __enter__(self) -> ReversedScandir:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

        def close(self) -> None:
            """Do nothing: all entries have been read."""

    os.listdir = lambda *arguments: sorted(listdir(*arguments), reverse=True)  # type: ignore[assignment]
    os.scandir = ReversedScandir  # type: ignore[assignment]
    try:
        yield
    finally:
        os.listdir, os.scandir = listdir, scandir


def _ensure_inputs(x: Tensor, shape: tuple[int, ...], split: str) -> None:
    ensure(tuple(x.shape) == shape, f"{split}: inputs are {list(x.shape)}, not {list(shape)}")
    if x.dtype == torch.int64:  # token ids: any number may stand for a token
        return
    ensure(x.dtype == torch.float32, f"{split}: inputs are {x.dtype}, not float32 (or int64)")
    ensure(bool(x.isfinite().all()), f"{split}: inputs are not finite")
    ensure(float(x.abs().max()) <= MAX_INPUT, f"{split}: inputs reach {float(x.abs().max()):.4g}")


def _ensure_targets(y: Tensor, shape: tuple[int, ...], kind: str, split: str) -> None:
    ensure(y.dtype == torch.float32, f"{split}: targets are {y.dtype}, not float32")
    ensure(tuple(y.shape) == shape, f"{split}: targets are {list(y.shape)}, not {list(shape)}")
    if kind == "multi-label":
        ensure(bool(((y == 0) | (y == 1)).all()), f"{split}: targets of multi-label tasks are not 0 or 1")


def _ensure_classes(classes: Tensor, ways: int, size: int, split: str) -> None:
    """Ensure that ``classes`` holds a different class of the split for each label."""
    shape = (TASKS, ways)
    ensure(tuple(classes.shape) == shape, f"{split}: classes are {list(classes.shape)}, not {list(shape)}")
    ensure(classes.dtype == torch.int64, f"{split}: classes are {classes.dtype}, not int64")
    ensure(int(classes.min()) >= 0 and int(classes.max()) < size, f"{split}: classes are not 0 to {size - 1}")
    ensure(all(len(row.unique()) == ways for row in classes), f"{split}: a class occurs twice in one episode")


def _equal(first: EpisodeBatch, second: EpisodeBatch) -> bool:
    pairs = list(
        zip((*first.support, *first.query, first.keys), (*second.support, *second.query, second.keys), strict=True)
    )
    if first.classes is not None and second.classes is not None:
        pairs.append((first.classes, second.classes))
    return (first.classes is None) is (second.classes is None) and all(same(*pair) for pair in pairs)


def _map(part: Any, function: Any) -> Any:
    if part is None:
        return None
    return function(part) if isinstance(part, Tensor) else type(part)(*map(function, part))


DATASET = (
    Check(can_be_loaded_and_drawn_from, "Fix this error first: every other check draws episodes.", needed=True),
    Check(license_and_source_are_named, "Set info = DatasetInfo(title=..., license=..., citation=...)."),
    Check(splits_are_complete, "Return {'train': ..., 'val': ..., 'test': ...} from load."),
    Check(splits_share_no_classes, "Split by class, not by image, and look for duplicates."),
    Check(
        hash_depends_only_on_the_content,
        "Sort folder listings, split by a hash of the class names (mamlbench.api.seed_key), and use no random state.",
    ),
    Check(episodes_are_well_formed, "Use ImageSplit for uint8 images; scale other inputs to about 1."),
    Check(
        queries_are_not_in_the_support_set,
        "Draw support and queries of a class together, without replacement.",
    ),
    Check(
        episodes_depend_only_on_their_keys,
        "Draw with mamlbench.api.sample_without_replacement and uniform from the key; keep no state.",
    ),
    Check(
        more_queries_keep_the_support_set, "Draw classes first, then support, then queries, each by the rank of hashes."
    ),
    Check(labeled_examples_are_well_formed, "Derive labeled_examples only from the key, with labels 0 to size - 1."),
    Check(labeled_batches_are_the_labeled_examples, "Change labeled_batches wherever labeled_examples is changed."),
    Check(too_many_ways_raise_config_error, "Raise ConfigError if there are fewer classes or examples than requested."),
)
