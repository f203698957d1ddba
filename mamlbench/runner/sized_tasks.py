"""Episodes of several sizes: what is computed together, and what a method sees of it.

Smaller tasks are filled up to the size of others (``mamlbench.nn.padding``), in batches that cost least in all
(``mamlbench.data.episode_sizes.group_sizes``). If a method does not allow that, tasks of one size are computed
together, each exactly as in a run of that size alone. A method whose network has an output for each class is built for
the most classes; in an episode with fewer the first of them count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from mamlbench.api import Algorithm, EpisodeBatch, TaskSampler, seed_key
from mamlbench.data.episode_sizes import draw_sizes, group_sizes
from mamlbench.errors import ConfigError, ConfigProblem
from mamlbench.nn.padding import filled_up, padded_tasks
from mamlbench.objectives.objective import ClassificationOfFirst, ClassificationOfPadded
from mamlbench.run_spec import Protocol, RunSpec, Training

Shape = TypeVar("Shape", bound=Training | Protocol)


def limits(shape: Training | Protocol) -> tuple[tuple[int, int], tuple[int, int]]:
    """Least and most ways, least and most shots."""
    return (shape.least_ways or shape.ways, shape.ways), (shape.least_shots or shape.shots, shape.shots)


def of_size(shape: Shape, ways: int, shots: int) -> Shape:
    """The same conditions with episodes of one size."""
    of_one: Shape = shape.model_copy(update={"ways": ways, "shots": shots, "least_ways": None, "least_shots": None})  # type: ignore[assignment]
    return of_one


def by_size(sampler: TaskSampler, split: str, shape: Shape, numbers: Sequence[int]) -> list[tuple[Shape, list[int]]]:
    """Sort numbers of episodes by their size, from the smallest: the conditions of each size, and its episodes."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, ways, shots in zip(numbers, *sizes_of(sampler, split, shape, numbers), strict=True):
        groups[ways, shots].append(number)
    return [(of_size(shape, *size), groups[size]) for size in sorted(groups)]


def sizes_of(
    sampler: TaskSampler, split: str, shape: Training | Protocol, numbers: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return ways and shots of the episodes of these numbers."""
    keys = np.concatenate([sampler.keys(split, number, 1) for number in numbers])
    ways, shots = draw_sizes(keys, *limits(shape))
    return ways.tolist(), shots.tolist()


def of_meta_batch(spec: RunSpec, iteration: int) -> Training:
    """The training conditions of a meta-iteration if parts of a batch do not add up: its episodes have one size."""
    training = spec.training
    if not training.sizes_vary:
        return training
    key = np.array([seed_key("sizes of training episodes", spec.seed, iteration)], np.uint64)
    ways, shots = draw_sizes(key, *limits(training))
    return of_size(training, int(ways[0]), int(shots[0]))


class SizedPart(NamedTuple):
    """Episodes of one size: their numbers, and the conditions of that size."""

    numbers: Sequence[int]
    shape: Any  # Protocol, or Training


EpisodeGroup = Sequence[SizedPart]
"""Episodes that are computed together; if they have several sizes, the smaller ones are filled up."""


def numbers_of(group: EpisodeGroup) -> list[int]:
    """The numbers of all episodes of a group."""
    return [number for part in group for number in part.numbers]


def padded_groups(
    by_sizes: Sequence[tuple[Shape, list[int]]], most_tasks: int, most_examples: int
) -> list[EpisodeGroup]:
    """Divide episodes, sorted by their size, into groups of several sizes that cost least in all."""
    episodes = [SizedPart([number], shape) for shape, numbers in by_sizes for number in numbers]
    support, query = (
        np.array([part.shape.ways * getattr(part.shape, name) for part in episodes]) for name in ("shots", "queries")
    )
    groups: list[EpisodeGroup] = []
    for chosen in group_sizes(support, query, most_tasks, most_examples):
        parts: dict[tuple[int, int], SizedPart] = {}
        for index in chosen:
            numbers, shape = episodes[index]
            size = shape.ways, shape.shots
            parts[size] = SizedPart([*(parts[size].numbers if size in parts else ()), *numbers], shape)
        groups.append([*parts.values()])
    return groups


@contextmanager
def sized(algorithm: Algorithm[Any, Any], shapes: Sequence[Training | Protocol]) -> Iterator[None]:
    """Let a method see tasks of these sizes: its objective has their classes, its context their shots.

    If there are several, they are filled up to whole shots of the most classes, as ``filled_batch`` does.
    """
    ways = max(shape.ways for shape in shapes)
    several = len(shapes) > 1
    objective = ClassificationOfPadded(ways) if several else ClassificationOfFirst(ways)
    shots = max(shape.ways * shape.shots for shape in shapes) // ways + 1 if several else shapes[0].shots
    before = algorithm.objective, algorithm.context
    algorithm.objective = objective
    algorithm.context = replace(algorithm.context, objective=objective, shots=shots)
    try:
        with padded_tasks() if several else nullcontext():
            yield
    finally:
        algorithm.objective, algorithm.context = before


class SizedBatch(NamedTuple):
    """The episodes of a meta-batch of several sizes."""

    groups: Sequence[tuple[EpisodeGroup, EpisodeBatch]]  # the batch of each group, filled up if there are several sizes
    examples: int  # without padding

    @property
    def tasks(self) -> int:
        """Number of episodes."""
        return sum(batch.tasks for _, batch in self.groups)


def filled_batch(group: EpisodeGroup, batches: Sequence[EpisodeBatch]) -> EpisodeBatch:
    """The episodes of a group as one batch, those of several sizes filled up; classes and images are left out."""
    ways = [part.shape.ways for part in group]
    support = filled_up([batch.support for batch in batches], ways, multiple=max(ways))
    query = filled_up([batch.query for batch in batches], ways)
    return EpisodeBatch(support, query, torch.cat([batch.keys for batch in batches]))


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
