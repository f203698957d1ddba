"""The contract of a task sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from mamlbench.api import SPLITS, EpisodeBatch, Examples, ImageSplit, Keys, TaskSampler
from mamlbench.testing.run_checks import BrokenPromiseError, Check, demand
from mamlbench.testing.tensor_comparison import global_seed, same
from mamlbench.testing.tiny import QUERIES, SHAPE, SHOTS, WAYS, tiny_splits

EPISODES = 12


class SamplerSubject:
    """Makes samplers over the tiny task.

    Args:
        plugin: the class under test.
        **given: options that differ from their defaults.
    """

    def __init__(self, plugin: type[TaskSampler], **given: Any) -> None:
        self.plugin = plugin
        self.given = given

    def build(self, splits: Any = None, *, training_seed: int = 0, episode_seed: int = 0) -> TaskSampler:
        """A new instance."""
        return self.plugin(
            splits or tiny_splits(),
            WAYS,
            episode_seed=episode_seed,
            training_seed=training_seed,
            options=self.plugin.Options.model_validate(self.given),
        )


def draw(
    sampler: TaskSampler, split: str, first: int = 0, count: int = EPISODES, queries: int = QUERIES
) -> EpisodeBatch:
    """Some episodes of the tiny task."""
    return sampler.episodes(split, first, count, shots=SHOTS, queries=queries)


def episodes_are_well_formed(subject: SamplerSubject) -> None:
    """As many episodes as were asked for, each with its ways, shots and queries."""
    for split in SPLITS:
        batch = draw(subject.build(), split)
        for part, each in ((batch.support, SHOTS), (batch.query, QUERIES)):
            shape = (EPISODES, WAYS * each, *SHAPE)
            demand(tuple(part.x.shape) == shape, f"{split}: inputs are {list(part.x.shape)}, not {list(shape)}")
            demand(tuple(part.y.shape) == shape[:2], f"{split}: labels are {list(part.y.shape)}")


def training_episodes_have_the_ways_asked_for(subject: SamplerSubject) -> None:
    """Training episodes have other ways than the test's if asked for; nothing else does."""
    for split, ways in (("train", WAYS + 1), ("test", WAYS)):
        batch = subject.build().episodes(split, 0, EPISODES, shots=SHOTS, queries=QUERIES, ways=ways)
        demand(
            batch.support.y.shape[1] == ways * SHOTS, f"{split}: {ways} ways give labels {list(batch.support.y.shape)}"
        )
        classes = len(set(batch.support.y.flatten().tolist()))
        demand(classes == ways, f"{split}: {ways} ways give {classes} different labels")
    usual, asked = (
        draw(subject.build(), "train"),
        subject.build().episodes("train", 0, EPISODES, shots=SHOTS, queries=QUERIES, ways=WAYS),
    )
    demand(same(usual.support.x, asked.support.x), "asked for by its number, the usual ways give other episodes")


def an_episode_hangs_on_its_number_alone(subject: SamplerSubject) -> None:
    """Episode i is the same from a new sampler, in another order, however many are drawn at a time."""
    for split in SPLITS:
        with global_seed(1):
            whole = draw(subject.build(), split)
        with global_seed(2):
            other = subject.build()
            parts = [draw(other, split, first, 4) for first in range(EPISODES - 4, -1, -4)][::-1]
            again = draw(other, split)
        for number, part in enumerate(parts):
            piece = slice(4 * number, 4 * number + 4)
            equal = same(part.support.x, whole.support.x[piece]) and same(part.query.x, whole.query.x[piece])
            demand(equal, f"{split}: drawn in parts, the last one first, episodes from {piece.start} on differ")
        demand(same(again.support.x, whole.support.x), f"{split}: drawn a second time they differ")


def more_queries_keep_the_support(subject: SamplerSubject) -> None:
    """Who asks for more queries keeps the support set; in training only where the sampler does not deny it."""
    for split in SPLITS if subject.plugin.keeps_support else SPLITS[1:]:
        fewer, more = (draw(subject.build(), split, queries=queries) for queries in (QUERIES, QUERIES + 2))
        demand(same(fewer.support.x, more.support.x), f"{split}: with more queries the support set is another")


def evaluation_episodes_are_shared(subject: SamplerSubject) -> None:
    """Validation and test episodes hang on the episode seed and not on the training seed; there are many of them."""
    for split in ("val", "test"):
        first = draw(subject.build(), split)
        other = draw(subject.build(training_seed=1), split)
        demand(same(first.query.x, other.query.x), f"{split}: another training seed has other episodes")
        reseeded = draw(subject.build(episode_seed=1), split)
        demand(not same(first.query.x, reseeded.query.x), f"{split}: another episode seed has the same episodes")
        different = len({one.numpy().tobytes() for one in first.support.x.cpu()})
        demand(different > EPISODES / 2, f"{split}: {different} different ones among {EPISODES} episodes")


def training_seeds_differ(subject: SamplerSubject) -> None:
    """Another training seed trains on other episodes."""
    first, other = (draw(subject.build(training_seed=seed), "train") for seed in (0, 1))
    demand(not same(first.support.x, other.support.x), "training seeds 0 and 1 have the same episodes")


def no_test_class_is_seen_in_training(subject: SamplerSubject) -> None:
    """Episodes and labeled examples of a split come from that split alone."""
    for split in SPLITS:
        splits = {name: task_split if name == split else Locked(split) for name, task_split in tiny_splits().items()}
        sampler = subject.build(splits)
        drawn = draw(sampler, split).support.x.flatten(0, 1), sampler.labeled_examples(split, 0, 6).x
        for x in drawn:
            _demand_from(x, tiny_splits()[split], split)


def labeled_minibatches_hang_on_their_number_alone(subject: SamplerSubject) -> None:
    """Minibatch i of labeled examples is the same from a new sampler and in another order."""
    first, other = subject.build(), subject.build()
    expected = [first.labeled_examples("train", number, 6) for number in range(3)]
    for number in (2, 0, 1):
        again = other.labeled_examples("train", number, 6)
        equal = same(again.x, expected[number].x) and same(again.y, expected[number].y)
        demand(equal, f"minibatch {number} differs when drawn in another order")


class Locked:
    """Another split, which must not be read."""

    def __init__(self, split: str) -> None:
        self._split = split

    def __getattr__(self, name: str) -> Any:
        raise BrokenPromiseError(f"for {self._split} another split was asked for '{name}'")

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Not for this split."""
        raise BrokenPromiseError(f"episodes of {self._split} came from another split")

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Not for this split."""
        raise BrokenPromiseError(f"labeled examples of {self._split} came from another split")


def _demand_from(x: Tensor, task_split: Any, split: str) -> None:
    """Every image of ``x`` is in ``task_split``."""
    assert isinstance(task_split, ImageSplit)
    known = {one.numpy().tobytes() for one in task_split.images}
    foreign = sum(one.numpy().tobytes() not in known for one in (x.cpu() * 255).round().byte())
    demand(not foreign, f"{split}: {foreign} of {len(x)} images are not the split's own")


SAMPLER = (
    Check(episodes_are_well_formed, "Hand on ways, shots and queries to the split unchanged."),
    Check(training_episodes_have_the_ways_asked_for, "Take `ways` as an argument of episodes, and hand it on."),
    Check(
        an_episode_hangs_on_its_number_alone,
        "Keep no counter and no random state: derive keys from (seed, split, index), as key_index does.",
    ),
    Check(more_queries_keep_the_support, "Do not let shots or queries into the key, or declare keeps_support = False."),
    Check(evaluation_episodes_are_shared, "Change key_index for the split 'train' only."),
    Check(training_seeds_differ, "Derive the keys of training episodes from training_seed."),
    Check(no_test_class_is_seen_in_training, "Draw from self.splits[split]."),
    Check(labeled_minibatches_hang_on_their_number_alone, "Derive the key of a minibatch from its index."),
)
