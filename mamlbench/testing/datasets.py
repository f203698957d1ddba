"""The contract of a data set (data set)."""

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
from mamlbench.testing.run_checks import Check, NotApplicable, demand
from mamlbench.testing.tensor_comparison import global_seed, same

SHOTS, QUERIES, TASKS = 1, 1, 4
LARGEST = 100.0
"""Greatest input that a network should be given."""

SHARED = 0.05
"""Share of support and query examples of a class that may be equal: real collections hold some images twice."""


class DatasetSubject:
    """Loads a data set.

    Args:
        plugin: the class under test.
        paths: where its files may lie and prepared data is kept; by default nowhere, and in a temporary folder.
        **given: options that differ from their defaults.
    """

    def __init__(self, plugin: type[Dataset], paths: DataPaths | None = None, **given: Any) -> None:
        self.plugin = plugin
        self.given = given
        self._folder = Path(tempfile.mkdtemp(prefix="mamlbench-check-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.paths = paths or DataPaths((), self._folder / "cache")
        self._missing: DataError | None = None

    def load(self, paths: DataPaths) -> Dataset:
        """Load it from there."""
        return self.plugin(self.plugin.Options.model_validate(self.given), paths)

    def load_uncached(self) -> Dataset:
        """Load it as on a machine where it was never prepared; what was downloaded is found again."""
        kept = self.paths.cache
        folders = (*self.paths.folders, ("earlier downloads", kept / "downloads"), ("cache", kept))
        uncached = self._folder / "uncached"
        return self.load(replace(self.paths, folders=folders, cache=uncached, allow_download=False))

    @property
    def dataset(self) -> Dataset:
        """The data set, loaded (or found missing) once. Raises DataError where it is missing."""
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
        """Classes of the episodes that are drawn."""
        return (
            1
            if self.plugin.kind == "regression"
            else min(5, *(task_split.size for task_split in self.dataset.splits.values()))
        )

    def keys(self, count: int = TASKS) -> Keys:
        """Keys of ``count`` episodes: uint64 ``[count]``."""
        return hash64(seed_key("check"), np.arange(count))

    def episodes(self, split: str, keys: Keys | None = None, queries: int = QUERIES) -> EpisodeBatch:
        """Episodes of a split, one per key: support x ``[T, ways * 2, *input_shape]``."""
        return self.dataset.splits[split].episodes(self.keys() if keys is None else keys, self.ways, SHOTS, queries)


def license_and_source_are_named(subject: DatasetSubject) -> None:
    """info names title, license and citation."""
    info = getattr(subject.plugin, "info", None)
    demand(info is not None, "there is no info")
    empty = [name for name in ("title", "license", "citation") if not getattr(info, name).strip()]
    demand(not empty, f"info leaves out {', '.join(empty)}")


def splits_are_complete(subject: DatasetSubject) -> None:
    """There are the splits train, val and test, none empty, each with a hash of its own."""
    splits = subject.dataset.splits
    demand(set(splits) == set(SPLITS), f"splits are {', '.join(splits)}, not {', '.join(SPLITS)}")
    empty = [name for name, task_split in splits.items() if task_split.size < 1]
    demand(not empty, f"nothing in {', '.join(empty)}")
    hashes = [splits[name].hash for name in SPLITS]
    demand(len(set(hashes)) == len(SPLITS), "two splits have the same hash")
    demand(len({splits[name].input_shape for name in SPLITS}) == 1, "splits differ in the shape of their inputs")


def no_test_class_is_seen_in_training(subject: DatasetSubject) -> None:
    """No class, and no image, is in two splits."""
    names: dict[str, str] = {}
    images: dict[bytes, str] = {}
    for split in SPLITS:
        task_split = subject.dataset.splits[split]
        if not isinstance(task_split, ImageSplit):
            raise NotApplicable("its splits have no classes that could be listed")
        twice = [name for name in task_split.class_names if name in names]
        demand(not twice, f"class '{twice[0] if twice else ''}' is in {split} and elsewhere")
        names |= dict.fromkeys(task_split.class_names, split)
    for split in SPLITS:
        task_split = subject.dataset.splits[split]
        assert isinstance(task_split, ImageSplit)
        own = {row.tobytes() for row in task_split.image_hashes}
        also = [images[each] for each in own if each in images]
        demand(len(also) <= SHARED * len(own), f"{len(also)} of {len(own)} images of {split} are in {also[:1]} too")
        images |= dict.fromkeys(own, split)


def hash_is_of_the_content_alone(subject: DatasetSubject) -> None:
    """Prepared again, with folders listed in another order and other random states, it has the same hash."""
    expected = subject.dataset.content_hash
    with _listed_backwards(), global_seed(99):
        other = subject.load_uncached()
    demand(other.content_hash == expected, "content_hash is another")
    ours, theirs = (
        each.splits["test"].episodes(subject.keys(), subject.ways, SHOTS, QUERIES) for each in (subject.dataset, other)
    )
    demand(_equal(ours, theirs), "the same key draws another episode")


def episodes_are_well_formed(subject: DatasetSubject) -> None:
    """Inputs are finite float32 of the declared shape, labels 0 to ways - 1, each as often as there are shots."""
    ways, regression = subject.ways, subject.plugin.kind == "regression"
    for split in SPLITS:
        task_split, batch = subject.dataset.splits[split], subject.episodes(split)
        demand(batch.keys.shape == (TASKS,) and batch.keys.dtype == torch.int64, f"{split}: keys are not int64 [T]")
        for part, each in ((batch.support, SHOTS), (batch.query, QUERIES)):
            _demand_inputs(part.x, (TASKS, ways * each, *task_split.input_shape), split)
            if regression:
                demand(part.y.dtype == torch.float32, f"{split}: targets are {part.y.dtype}, not float32")
                continue
            demand(part.y.dtype == torch.int64, f"{split}: labels are {part.y.dtype}, not int64")
            expected = torch.arange(ways).repeat_interleave(each)
            rows = [bool(torch.equal(row.sort().values.cpu(), expected)) for row in part.y]
            demand(all(rows), f"{split}: labels are {part.y[0].tolist()}, not 0 to {ways - 1} in equal numbers")
        if batch.classes is not None:
            _demand_classes(batch.classes, ways, task_split.size, split)
    outputs = subject.dataset.objective(ways).outputs
    demand(regression or outputs == ways, f"problem({ways}) has {outputs} outputs")


def queries_are_other_examples_than_the_support(subject: DatasetSubject) -> None:
    """What a method is tested on it was not adapted to."""
    batch = subject.episodes("test", subject.keys(25))
    equal, pairs = 0, 0
    for support, query in zip(batch.support.x, batch.query.x, strict=True):
        pairs += len(query)
        equal += sum(any(torch.equal(one, other) for other in support) for one in query)
    demand(equal <= SHARED * pairs, f"{equal} of {pairs} query examples stand in their own support set")


def episodes_hang_on_their_keys_alone(subject: DatasetSubject) -> None:
    """An episode is the same alone, in a batch, and in another order."""
    keys = subject.keys()
    with global_seed(1):
        whole = subject.episodes("train", keys)
    with global_seed(2):
        backwards = subject.episodes("train", keys[::-1].copy())
        alone = subject.episodes("train", keys[1:2])
    flipped = EpisodeBatch(*(_map(part, lambda leaf: leaf.flip(0)) for part in backwards))
    demand(_equal(whole, flipped), "drawn in another order they are others")
    second = EpisodeBatch(*(_map(part, lambda leaf: leaf[1:2]) for part in whole))
    demand(_equal(second, alone), "drawn alone it is another than in a batch")
    different = len({support.numpy().tobytes() for support in whole.support.x.cpu()})
    demand(different > 1, "all keys draw the same episode")


def more_queries_keep_the_support(subject: DatasetSubject) -> None:
    """Who asks for more queries keeps the support set."""
    fewer, more = (subject.episodes("test", queries=queries) for queries in (QUERIES, QUERIES + 2))
    demand(same(fewer.support.x, more.support.x), "with more queries the support set is another")


def labeled_examples_are_well_formed(subject: DatasetSubject) -> None:
    """For pretraining: labeled examples of the whole split, a pure function of their key."""
    task_split = subject.dataset.splits["train"]
    key = seed_key("check", "labeled")
    first, again = task_split.labeled_examples(key, 6), task_split.labeled_examples(key, 6)
    _demand_inputs(first.x, (6, *task_split.input_shape), "labeled")
    demand(same(first.x, again.x) and same(first.y, again.y), "the same key draws others")
    if subject.plugin.kind == "classification":
        inside = bool(((first.y >= 0) & (first.y < task_split.objective.outputs)).all())
        demand(
            inside and first.y.dtype == torch.int64,
            f"labels {first.y.tolist()} of {task_split.objective.outputs} classes",
        )


def too_much_is_refused_in_a_sentence(subject: DatasetSubject) -> None:
    """More classes than there are is a ConfigError."""
    task_split: TaskSplit = subject.dataset.splits["val"]
    try:
        task_split.episodes(subject.keys(), task_split.size + 1, SHOTS, QUERIES)
    except ConfigError:
        return
    demand(False, f"{task_split.size + 1} ways were granted where there are {task_split.size} classes")


@contextmanager
def _listed_backwards() -> Iterator[None]:
    """Let the operating system list every folder in the opposite of the alphabetical order."""
    listdir, scandir = os.listdir, os.scandir

    class Backwards:
        """What os.scandir returns, sorted backwards."""

        def __init__(self, *given: Any) -> None:
            with scandir(*given) as entries:
                self._entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def __enter__(self) -> Backwards:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

        def close(self) -> None:
            """Everything was read at once."""

    os.listdir = lambda *given: sorted(listdir(*given), reverse=True)  # type: ignore[assignment]
    os.scandir = Backwards  # type: ignore[assignment]
    try:
        yield
    finally:
        os.listdir, os.scandir = listdir, scandir


def _demand_inputs(x: Tensor, shape: tuple[int, ...], where: str) -> None:
    demand(tuple(x.shape) == shape, f"{where}: inputs are {list(x.shape)}, not {list(shape)}")
    demand(x.dtype == torch.float32, f"{where}: inputs are {x.dtype}, not float32")
    demand(bool(x.isfinite().all()), f"{where}: inputs are not finite")
    demand(float(x.abs().max()) <= LARGEST, f"{where}: inputs reach {float(x.abs().max()):.4g}")


def _demand_classes(classes: Tensor, ways: int, size: int, where: str) -> None:
    """``classes`` names a different class of the split for each label."""
    shape = (TASKS, ways)
    demand(tuple(classes.shape) == shape, f"{where}: classes are {list(classes.shape)}, not {list(shape)}")
    demand(classes.dtype == torch.int64, f"{where}: classes are {classes.dtype}, not int64")
    demand(int(classes.min()) >= 0 and int(classes.max()) < size, f"{where}: classes are not 0 to {size - 1}")
    demand(all(len(row.unique()) == ways for row in classes), f"{where}: a class stands twice in one episode")


def _equal(one: EpisodeBatch, other: EpisodeBatch) -> bool:
    pairs = list(zip((*one.support, *one.query, one.keys), (*other.support, *other.query, other.keys), strict=True))
    if one.classes is not None and other.classes is not None:
        pairs.append((one.classes, other.classes))
    return (one.classes is None) is (other.classes is None) and all(same(ours, theirs) for ours, theirs in pairs)


def _map(part: Any, function: Any) -> Any:
    if part is None:
        return None
    return function(part) if isinstance(part, Tensor) else type(part)(*map(function, part))


DATASET = (
    Check(license_and_source_are_named, "Set info = DatasetInfo(title=..., license=..., citation=...)."),
    Check(splits_are_complete, "Return {'train': ..., 'val': ..., 'test': ...} from load."),
    Check(no_test_class_is_seen_in_training, "Split by class, not by image; and look for copies."),
    Check(
        hash_is_of_the_content_alone,
        "Sort what folders list, split by a hash of the class names "
        "(mamlbench.api.seed_key), and draw from no random state.",
    ),
    Check(episodes_are_well_formed, "ImageSplit makes them so from uint8 images; scale others to about 1."),
    Check(
        queries_are_other_examples_than_the_support,
        "Draw support and queries of a class together, without replacement.",
    ),
    Check(
        episodes_hang_on_their_keys_alone,
        "Draw with mamlbench.api.sample_without_replacement and uniform from the key; keep no state.",
    ),
    Check(more_queries_keep_the_support, "Draw classes first, then support, then queries, each by rank of hashes."),
    Check(labeled_examples_are_well_formed, "labeled draws from the key alone, with labels 0 to size - 1."),
    Check(too_much_is_refused_in_a_sentence, "Raise ConfigError where fewer classes or examples are there than asked."),
)
