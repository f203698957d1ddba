"""Draws the episodes of a run: by its sampler, and test episodes as the protocol has them."""

from __future__ import annotations

import numpy as np

from mamlbench.api import EpisodeBatch, TaskSampler, seed_key
from mamlbench.data.episode_sizes import most_shots, with_imbalance
from mamlbench.run_spec import Protocol, Training
from mamlbench.runner.disturbed_episodes import disturbed


def draw_episodes(sampler: TaskSampler, split: str, first: int, count: int, shape: Training | Protocol) -> EpisodeBatch:
    """Draw episodes by the sampler; test episodes as the protocol has them, also with wrong labels or corrupted."""
    if split == "test" and isinstance(shape, Protocol):
        return disturbed(_draw_unequal(sampler, first, count, shape), shape, sampler.splits[split])
    return sampler.episodes(split, first, count, ways=shape.ways, shots=shape.shots, queries=shape.queries)


def _draw_unequal(sampler: TaskSampler, first: int, count: int, shape: Protocol) -> EpisodeBatch:
    """Draw test episodes, with unequal classes if the protocol asks for them."""
    if not shape.imbalance:
        return _draw_test_episodes(sampler, first, count, shape)
    drawn = shape.model_copy(update={"shots": most_shots(shape.shots, shape.imbalance)})
    batch = _draw_test_episodes(sampler, first, count, drawn)
    return with_imbalance(batch, shape.ways, shape.shots, shape.imbalance)


def _draw_test_episodes(sampler: TaskSampler, first: int, count: int, shape: Protocol) -> EpisodeBatch:
    """Draw test episodes by the sampler, or without replacement by the split itself."""
    split = "test"
    if shape.test_sampling == "without-replacement":
        key = seed_key("episodes without replacement", split, shape.episode_seed)
        numbers = np.arange(first, first + count)
        return sampler.splits[split].episodes_without_replacement(key, numbers, shape.ways, shape.shots, shape.queries)
    return sampler.episodes(split, first, count, ways=shape.ways, shots=shape.shots, queries=shape.queries)
