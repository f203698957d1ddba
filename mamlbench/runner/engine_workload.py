"""The work that an engine is chosen for: the run's own batches."""

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
from mamlbench.engine import MAX_EXAMPLE_BYTES
from mamlbench.nn.kernels import kernels_in_use
from mamlbench.nn.precision import ROUNDING, in_precision, parameter_dtype
from mamlbench.plugin import Plugins
from mamlbench.plugin.source_hash import plugin_code
from mamlbench.record import code_hash, cpu_name
from mamlbench.run_spec import Precision, Protocol, RunSpec, Training
from mamlbench.runner.device import device_name

FEW_TASKS, FEW_QUERIES, FEW_STEPS = 2, 2, 2
"""Size of the check: large enough for every kind of work, small enough to take no time."""


class TrainingWork:
    """The batches of one run, for ``mamlbench.engine.choose_engine``.

    Args:
        spec: the run.
        plugin: the algorithm's class.
        make: builds the algorithm for an engine, in a precision (default: the run's own).
        sampler: draws the batches.
        training: whether the run trains; an evaluation does not.
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
        self.trains = (
            training and plugin.trains_on == "episodes" and self.iterations > 0
        )  # labeled examples need no engine
        self.vectorizes = plugin.vectorized
        self.differentiates = plugin.gradient_order == 2
        self.task_bytes = self._task_bytes() if self.trains else 0

    def _task_bytes(self) -> int:
        """Size of a task's examples, counted once for every pass over them that a gradient keeps in memory.

        A second-order gradient keeps the forward and backward passes of every inner step.
        """
        training = self.spec.training
        passes = 3 * int(self.spec.algorithm.options.get("train_steps", 1)) if self.differentiates else 1
        examples = training.ways * (passes * training.shots + training.queries)
        return task_bytes(self.spec, self._sampler.splits["train"], examples)

    def outcome(self, engine: Engine, *, precision: Precision, nudge: int = 0) -> Tensor:
        """The update of a small batch, and predictions after a few steps in every mode, as one vector."""
        algorithm = self._make(engine, precision=precision)

        def episodes(split: str, shape: Training | Protocol) -> EpisodeBatch:
            batch = self._sampler.episodes(
                split,
                0,
                FEW_TASKS,
                ways=shape.ways,
                shots=shape.shots,
                queries=min(shape.queries, FEW_QUERIES),
            )
            batch = EpisodeBatch(*in_precision(batch, precision))
            return nudged(batch, nudge, ROUNDING[precision]) if nudge else batch

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
                yield adapted.predict(batch.query.x, "transductive" if mode == "running" else mode)

    def batch(self, engine: Engine) -> Callable[[], object]:
        """Return a function that computes the update of the run's first whole batch."""
        algorithm, training = self._make(engine), self.spec.training
        episodes = self._sampler.episodes(
            "train", 0, self.tasks, ways=training.ways, shots=training.shots, queries=training.queries
        )
        batch = in_precision(episodes, self.precision)
        return lambda: self._update(algorithm, batch)

    def _update(self, algorithm: Algorithm, batch: Any) -> OuterUpdate:
        # the check and the timing compute what the run computes: the first iteration, with its dropout masks
        with noise_key_scope(iteration_noise_key(self.spec, 0)):
            return algorithm.compute_update(batch)


def engine_for_sizes(spec: RunSpec, plugin: type[Algorithm], work: TrainingWork) -> str:
    """The engine for meta-batches of several sizes, which no trial of one size can choose; empty: leave it to trials.

    Compiled code would be compiled for each size.
    """
    if spec.engine != "auto" or not spec.training.sizes_vary or not work.trains:
        return ""
    return f"vmap[{max(1, MAX_EXAMPLE_BYTES // max(1, work.task_bytes))}]" if plugin.vectorized else "loop"


def speed_facts(spec: RunSpec, device: torch.device, plugins: Plugins) -> dict[str, Any]:
    """Everything that the fastest engine depends on: machine, software, network, algorithm and shapes."""
    return {
        "cpu": cpu_name(),
        "device": device_name(device) or "cpu",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "precision": spec.precision,
        **({"deterministic": True} if spec.deterministic else {}),
        "kernels": kernels_in_use(),
        "code": code_hash(plugin_code(plugins, spec)),
        "algorithm": spec.algorithm.model_dump(mode="json"),
        "backbone": spec.backbone.model_dump(mode="json"),
        "dataset": spec.dataset.model_dump(mode="json"),
        "ways": spec.protocol.ways,
        "training": spec.training.model_dump(mode="json", include={"meta_batch_size", "ways", "shots", "queries"}),
    }


def iteration_noise_key(spec: RunSpec, iteration: int) -> np.uint64:
    """Return the key of a meta-iteration's dropout masks; it depends on the training seed and the iteration alone."""
    return seed_key("noise", spec.seed, iteration)


def task_bytes(spec: RunSpec, split: TaskSplit, examples: int) -> int:
    """Size in bytes of one task's examples; 0 on a GPU, where large batches are fastest and memory is separate."""
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
