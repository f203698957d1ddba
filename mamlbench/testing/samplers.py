"""The contract of a task sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from mamlbench.api import SPLITS, EpisodeBatch, Examples, ImageSplit, Keys, TaskSampler
from mamlbench.testing.checks import Check, ContractError, ensure
from mamlbench.testing.tensor_comparison import global_seed, same
from mamlbench.testing.tiny import QUERIES, SHAPE, SHOTS, WAYS, tiny_splits

EPISODES = 12


class SamplerSubject:
    """Makes samplers over the tiny task.

    Args:
        plugin: the class under test.
        **options: options that differ from their defaults.
    """

    def __init__(self, plugin: type[TaskSampler], **options: Any) -> None:
        self.plugin = plugin
        self.changed_options = options

    def build(self, splits: Any = None, *, training_seed: int = 0, episode_seed: int = 0) -> TaskSampler:
        """Build a new sampler."""
        return self.plugin(
            splits or tiny_splits(),
            WAYS,
            episode_seed=episode_seed,
            training_seed=training_seed,
            options=self.plugin.Options.model_validate(self.changed_options),
        )


def draw(
    sampler: TaskSampler, split: str, first: int = 0, count: int = EPISODES, queries: int = QUERIES
) -> EpisodeBatch:
    """Draw episodes of the tiny task."""
    return sampler.episodes(split, first, count, shots=SHOTS, queries=queries)


def can_be_built_and_drawn_from(subject: SamplerSubject) -> None:
    """It can be built with its default options, and an episode can be drawn from every split."""
    for split in SPLITS:
        draw(subject.build(), split, count=1)


def episodes_are_well_formed(subject: SamplerSubject) -> None:
    """A batch has the requested number of episodes, each with the requested ways, shots and queries."""
    for split in SPLITS:
        batch = draw(subject.build(), split)
        for part, per_class in ((batch.support, SHOTS), (batch.query, QUERIES)):
            shape = (EPISODES, WAYS * per_class, *SHAPE)
            ensure(tuple(part.x.shape) == shape, f"{split}: inputs are {list(part.x.shape)}, not {list(shape)}")
            ensure(tuple(part.y.shape) == shape[:2], f"{split}: labels are {list(part.y.shape)}")


def training_episodes_have_the_requested_ways(subject: SamplerSubject) -> None:
    """Training episodes can have other ways than test episodes; requesting the usual ways changes nothing."""
    for split, ways in (("train", WAYS + 1), ("test", WAYS)):
        labels = subject.build().episodes(split, 0, EPISODES, shots=SHOTS, queries=QUERIES, ways=ways).support.y
        ensure(labels.shape[1] == ways * SHOTS, f"{split}: {ways} ways give labels {list(labels.shape)}")
        classes = len(set(labels.flatten().tolist()))
        ensure(classes == ways, f"{split}: {ways} ways give {classes} different labels")
    default = draw(subject.build(), "train")
    requested = subject.build().episodes("train", 0, EPISODES, shots=SHOTS, queries=QUERIES, ways=WAYS)
    ensure(same(default.support.x, requested.support.x), "requesting the usual ways gives different episodes")


def episodes_depend_only_on_their_index(subject: SamplerSubject) -> None:
    """Episode i is the same from a new sampler, in any order and batch size."""
    for split in SPLITS:
        with global_seed(1):
            whole = draw(subject.build(), split)
        with global_seed(2):
            other = subject.build()
            parts = [draw(other, split, first, 4) for first in range(EPISODES - 4, -1, -4)][::-1]
            again = draw(other, split)
        for index, part in enumerate(parts):
            piece = slice(4 * index, 4 * index + 4)
            equal = same(part.support.x, whole.support.x[piece]) and same(part.query.x, whole.query.x[piece])
            ensure(equal, f"{split}: episodes from {piece.start} on differ if drawn in batches, the last one first")
        ensure(same(again.support.x, whole.support.x), f"{split}: episodes differ if drawn a second time")


def more_queries_keep_the_support_set(subject: SamplerSubject) -> None:
    """More queries do not change the support set; in training only if keeps_support is True."""
    for split in SPLITS if subject.plugin.keeps_support else SPLITS[1:]:
        fewer, more = (draw(subject.build(), split, queries=queries) for queries in (QUERIES, QUERIES + 2))
        ensure(same(fewer.support.x, more.support.x), f"{split}: the support set changes with more queries")


def evaluation_episodes_are_shared(subject: SamplerSubject) -> None:
    """Validation and test episodes depend on the episode seed but not on the training seed, and are not all equal."""
    for split in ("val", "test"):
        first = draw(subject.build(), split)
        other = draw(subject.build(training_seed=1), split)
        ensure(same(first.query.x, other.query.x), f"{split}: another training seed gives different episodes")
        reseeded = draw(subject.build(episode_seed=1), split)
        ensure(not same(first.query.x, reseeded.query.x), f"{split}: another episode seed gives the same episodes")
        distinct = len({images.numpy().tobytes() for images in first.support.x.cpu()})
        ensure(distinct > EPISODES / 2, f"{split}: only {distinct} of {EPISODES} episodes are distinct")


def training_seeds_differ(subject: SamplerSubject) -> None:
    """Different training seeds give different training episodes."""
    first, other = (draw(subject.build(training_seed=seed), "train") for seed in (0, 1))
    ensure(not same(first.support.x, other.support.x), "training seeds 0 and 1 give the same episodes")


def episodes_come_from_their_split(subject: SamplerSubject) -> None:
    """Episodes and labeled examples of a split come only from that split."""
    for split in SPLITS:
        splits = {
            name: task_split if name == split else _LockedSplit(split) for name, task_split in tiny_splits().items()
        }
        sampler = subject.build(splits)
        images = draw(sampler, split).support.x.flatten(0, 1), sampler.labeled_examples(split, 0, 6).x
        for x in images:
            _ensure_from(x, tiny_splits()[split], split)


def labeled_minibatches_depend_only_on_their_index(subject: SamplerSubject) -> None:
    """Minibatch i of labeled examples is the same from a new sampler and in any order."""
    first, other = subject.build(), subject.build()
    expected = [first.labeled_examples("train", index, 6) for index in range(3)]
    for index in (2, 0, 1):
        again = other.labeled_examples("train", index, 6)
        equal = same(again.x, expected[index].x) and same(again.y, expected[index].y)
        ensure(equal, f"minibatch {index} differs if drawn in another order")


class _LockedSplit:
    """A split that must not be read."""

    def __init__(self, split: str) -> None:
        self._split = split

    def __getattr__(self, name: str) -> Any:
        raise ContractError(f"drawing from {self._split} reads '{name}' of another split")

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Fail."""
        raise ContractError(f"episodes of {self._split} come from another split")

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Fail."""
        raise ContractError(f"labeled examples of {self._split} come from another split")


def _ensure_from(x: Tensor, task_split: Any, split: str) -> None:
    """Ensure that every image of ``x`` is in ``task_split``."""
    assert isinstance(task_split, ImageSplit)
    own = {image.numpy().tobytes() for image in task_split.images}
    foreign = sum(image.numpy().tobytes() not in own for image in (x.cpu() * 255).round().byte())
    ensure(not foreign, f"{split}: {foreign} of {len(x)} images are not in the split")


SAMPLER = (
    Check(can_be_built_and_drawn_from, "Fix this error first: every other check draws episodes.", needed=True),
    Check(episodes_are_well_formed, "Pass ways, shots and queries to the split unchanged."),
    Check(training_episodes_have_the_requested_ways, "Accept `ways` as an argument of episodes, and pass it on."),
    Check(
        episodes_depend_only_on_their_index,
        "Keep no counter and no random state: derive keys from (seed, split, index).",
    ),
    Check(
        more_queries_keep_the_support_set, "Derive the key without shots and queries, or declare keeps_support = False."
    ),
    Check(evaluation_episodes_are_shared, "Change key_index only for the split 'train'."),
    Check(training_seeds_differ, "Derive the keys of training episodes from training_seed."),
    Check(episodes_come_from_their_split, "Draw from self.splits[split]."),
    Check(labeled_minibatches_depend_only_on_their_index, "Derive the key of a minibatch from its index."),
)
