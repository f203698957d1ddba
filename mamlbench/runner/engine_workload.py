"""The work that an engine is chosen for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.api import (
    Algorithm,
    Engine,
    EpisodeBatch,
    OuterUpdate,
    TaskSampler,
    TaskSplit,
    noise_key_scope,
    seed_key,
)
from mamlbench.nn.precision import ROUNDING, in_precision, parameter_dtype
from mamlbench.run_spec import Precision, Protocol, RunSpec, Training

FEW_TASKS, FEW_QUERIES, FEW_STEPS = 2, 2, 2
"""What a check computes: enough to meet every kind of work, little enough to cost next to nothing."""


class TrainingWork:
    """One run's batches, for ``mamlbench.engine.choose_engine``.

    Args:
        spec: the run.
        plugin: the algorithm's class.
        make: builds it on an engine, in a precision (the run's own unless another is asked for).
        sampler: where batches come from.
        training: whether the run trains (an evaluation does not).
    """

    def __init__(
        self,
        spec: RunSpec,
        plugin: type[Algorithm],
        make: Callable[..., Algorithm],
        sampler: TaskSampler,
        *,
        training: bool,
    ) -> None:
        self.spec, self._make, self._sampler = spec, make, sampler
        self.precision = spec.precision
        self.tasks, self.iterations = spec.training.meta_batch_size, spec.training.iterations
        self.trains = training and plugin.trains_on == "episodes"  # labeled examples need no engine
        self.vectorizes = plugin.vectorized
        self.differentiates = plugin.gradient_order == 2
        self.task_bytes = self._task_bytes() if self.trains else 0

    def _task_bytes(self) -> int:
        """A second-order gradient remembers, of every inner step, its pass over the support set and the way back."""
        training = self.spec.training
        passes = 3 * int(self.spec.algorithm.options.get("train_steps", 1)) if self.differentiates else 1
        examples = training.ways * (passes * training.shots + training.queries)
        return task_bytes(self.spec, self._sampler.splits["train"], examples)

    def outcome(self, engine: Engine, *, precision: Precision, nudge: int = 0) -> Tensor:
        """Update of a small batch, and predictions after a step or two in every mode, flat."""
        algorithm = self._make(engine, precision=precision)

        def episodes(split: str, shape: Training | Protocol) -> EpisodeBatch:
            few = self._sampler.episodes(
                split,
                0,
                FEW_TASKS,
                ways=shape.ways,
                shots=shape.shots,
                queries=min(shape.queries, FEW_QUERIES),
            )
            few = in_precision(few, precision)
            return nudged(few, nudge, ROUNDING[precision]) if nudge else few

        return torch.cat([value.flatten().double() for value in self._values(algorithm, episodes)])

    def _values(
        self, algorithm: Algorithm, episodes: Callable[[str, Training | Protocol], EpisodeBatch]
    ) -> Iterator[Tensor]:
        protocol = self.spec.protocol
        if self.trains:
            batch = episodes("train", self.spec.training)
            yield from self._update(algorithm, batch).sums.values()
        batch = episodes("val", protocol)
        for adapted in islice(algorithm.adaptation(batch.support, batch.keys), FEW_STEPS + 1):
            for mode in protocol.modes:
                yield adapted.predict(batch.query.x, mode)

    def batch(self, engine: Engine) -> Callable[[], object]:
        """Compute the update of the run's first whole batch."""
        algorithm, training = self._make(engine), self.spec.training
        episodes = self._sampler.episodes(
            "train", 0, self.tasks, ways=training.ways, shots=training.shots, queries=training.queries
        )
        batch = in_precision(episodes, self.precision)
        return lambda: self._update(algorithm, batch)

    def _update(self, algorithm: Algorithm, batch: Any) -> OuterUpdate:
        """What is checked and timed is what runs: the first iteration, noise included."""
        with noise_key_scope(iteration_noise_key(self.spec, 0)):
            return algorithm.compute_update(batch)


def iteration_noise_key(spec: RunSpec, iteration: int) -> np.uint64:
    """The key of one meta-iteration's noise, made of the training seed: a resumed run meets the same again."""
    return seed_key("noise", spec.seed, iteration)


def task_bytes(spec: RunSpec, split: TaskSplit, examples: int) -> int:
    """Size of one task of so many examples; 0 on a GPU, which has memory of its own and likes large batches."""
    if not spec.device.startswith("cpu"):
        return 0
    return parameter_dtype(spec.precision).itemsize * math.prod(split.input_shape) * examples


def nudged(examples: EpisodeBatch, nudge: int, rounding: float) -> EpisodeBatch:
    """Multiply every number of some episodes by 1 plus or minus at most one rounding, at random.

    Args:
        examples: episodes with float inputs; integer labels and keys stay.
        nudge: seed.
        rounding: distance from 1 to the next number.
    """

    def one(value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        generator = torch.Generator().manual_seed(nudge)
        by = 2 * torch.rand(value.shape, generator=generator).to(value) - 1
        return value * (1 + rounding * by)

    return pytree.tree_map(one, examples)  # type: ignore[no-any-return]
