"""Episodes of several sizes: those of one size are computed together, each exactly as in a run of that size alone.

Nothing is padded, so that no loss, statistic of batch norm or metric can see what is not there. A method whose network
has an output for each class is built for the most classes; in an episode with fewer the first of them count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from mamlbench.api import Algorithm, EpisodeBatch, Objective, TaskSampler, seed_key
from mamlbench.data.episode_sizes import draw_sizes
from mamlbench.errors import ConfigError, ConfigProblem
from mamlbench.run_spec import Protocol, RunSpec, Training

Shape = TypeVar("Shape", Training, Protocol)


def _limits(shape: Training | Protocol) -> tuple[tuple[int, int], tuple[int, int]]:
    return (shape.least_ways or shape.ways, shape.ways), (shape.least_shots or shape.shots, shape.shots)


def of_size(shape: Shape, ways: int, shots: int) -> Shape:
    """The same conditions with episodes of one size."""
    return shape.model_copy(update={"ways": ways, "shots": shots, "least_ways": None, "least_shots": None})


def by_size(
    sampler: TaskSampler, split: str, shape: Protocol, numbers: Sequence[int]
) -> list[tuple[Protocol, list[int]]]:
    """Sort numbers of episodes by their size, from the smallest: the conditions of each size, and its episodes."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, ways, shots in zip(numbers, *sizes_of(sampler, split, shape, numbers), strict=True):
        groups[ways, shots].append(number)
    return [(of_size(shape, *size), groups[size]) for size in sorted(groups)]


def sizes_of(sampler: TaskSampler, split: str, shape: Protocol, numbers: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return ways and shots of the episodes of these numbers."""
    keys = np.concatenate([sampler.keys(split, number, 1) for number in numbers])
    ways, shots = draw_sizes(keys, *_limits(shape))
    return ways.tolist(), shots.tolist()


def of_meta_batch(spec: RunSpec, iteration: int) -> Training:
    """The training conditions of one meta-iteration: all episodes of a meta-batch have one size."""
    training = spec.training
    if not training.sizes_vary:
        return training
    key = np.array([seed_key("sizes of training episodes", spec.seed, iteration)], np.uint64)
    ways, shots = draw_sizes(key, *_limits(training))
    return of_size(training, int(ways[0]), int(shots[0]))


@contextmanager
def sized(algorithm: Algorithm[Any, Any], objective: Objective, shots: int) -> Iterator[None]:
    """Let a method see tasks of one size: its objective has their classes, its context their shots."""
    before = algorithm.objective, algorithm.context
    algorithm.objective = objective
    algorithm.context = replace(algorithm.context, objective=objective, shots=shots)
    try:
        yield
    finally:
        algorithm.objective, algorithm.context = before


def joined(parts: Sequence[EpisodeBatch]) -> EpisodeBatch:
    """One batch of several of one size."""
    if len(parts) == 1:
        return parts[0]
    return EpisodeBatch(*(_joined(list(values)) for values in zip(*parts, strict=True)))


def _joined(values: list[Any]) -> Any:
    if any(value is None for value in values):
        return None
    if isinstance(values[0], tuple):
        return type(values[0])(*(torch.cat(list(leaves)) for leaves in zip(*values, strict=True)))
    return torch.cat(values)


def refuse_sizes(protocol: Protocol, kind: str) -> None:
    """Raise ConfigError for ranges and imbalance where they mean nothing or cannot be kept."""
    problems = []
    unequal = protocol.sizes_vary or protocol.imbalance
    if unequal and kind != "classification":
        problems.append(f"Tasks of {kind} have one size: leave out ranges such as 1..20, and --imbalance.")
    elif unequal and protocol.test_sampling != "independent":
        problems.append("Episodes of unequal sizes are drawn independently: leave out --test-sampling.")
    elif protocol.sizes_vary and protocol.keep_predictions:
        problems.append("Predictions are kept for episodes of one size: leave out --keep-predictions or the ranges.")
    elif protocol.imbalance and protocol.shots < 2:
        problems.append("With one example per class no class can have fewer: --imbalance needs --shots 2 or more.")
    if problems:
        raise ConfigError(*(ConfigProblem(problem, "imbalance") for problem in problems))
