"""Samplers that are wrong on purpose."""

import random

import numpy as np

from mamlbench.api import (
    TaskSampler,
    hash64,
    seed_key,
)

from .registry import caught_by


@caught_by("can be built and drawn from", "sampler")
class FailsToDraw(TaskSampler):
    def key_index(self, split, index):
        raise ValueError("no index")


@caught_by("episodes are well formed", "sampler")
class OneShort(TaskSampler):
    def episodes(self, split, first, count, **shape):
        return super().episodes(split, first, count - 1, **shape)


@caught_by("training episodes have the requested ways", "sampler")
class IgnoresWays(TaskSampler):
    def episodes(self, split, first, count, *, shots, queries, ways=None):
        return super().episodes(split, first, count, shots=shots, queries=queries)


@caught_by("episodes depend only on their index", "sampler")
class Counts(TaskSampler):
    drawn = 0

    def key_index(self, split, index):
        self.drawn += len(index)
        return index * 0 + self.drawn + np.arange(len(index))


@caught_by("episodes depend only on their index", "sampler")
class DrawsFromNumpy(TaskSampler):
    def key_index(self, split, index):
        return np.random.randint(0, 1000, len(index))


@caught_by("more queries keep the support set", "sampler")
class QueriesInTheKey(TaskSampler):
    def episodes(self, split, first, count, *, queries, **shape):
        return super().episodes(split, first + 1000 * queries, count, queries=queries, **shape)


@caught_by("more queries keep the support set", "sampler")
class DeniesItAndTestsOtherwise(QueriesInTheKey):
    keeps_support = False


@caught_by("evaluation episodes are shared", "sampler")
class TestsByTrainingSeed(TaskSampler):
    def __init__(self, splits, ways, *, episode_seed, training_seed, options):
        super().__init__(splits, ways, episode_seed=training_seed, training_seed=training_seed, options=options)


@caught_by("evaluation episodes are shared", "sampler")
class OneTestEpisode(TaskSampler):
    def key_index(self, split, index):
        return index if split == "train" else index * 0


@caught_by("training seeds differ", "sampler")
class AlwaysTheSameTraining(TaskSampler):
    def keys(self, split, first, count):
        if split == "train":
            return hash64(seed_key("always"), np.arange(first, first + count))
        return super().keys(split, first, count)


@caught_by("episodes come from their split", "sampler")
class TrainsOnTest(TaskSampler):
    def episodes(self, split, first, count, *, shots, queries, ways=None):
        task_split = self.splits["test" if split == "train" else split]
        return task_split.episodes(self.keys(split, first, count), ways or self.ways, shots, queries)


@caught_by("labeled minibatches depend only on their index", "sampler")
class RandomMinibatches(TaskSampler):
    def labeled_examples(self, split, index, count):
        return super().labeled_examples(split, index + random.randint(0, 1000), count)
