"""Checks that a method computes tasks that are filled up as it computes them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from torch import Tensor

from mamlbench.api import Algorithm, Engine, EpisodeBatch, OuterUpdate, TaskSampler, noise_key_scope
from mamlbench.engine.loop import LoopEngine
from mamlbench.errors import describe_error
from mamlbench.nn.precision import in_precision, relative_difference
from mamlbench.run_spec import Protocol, RunSpec, Training
from mamlbench.runner.engine_workload import FEW_QUERIES, FEW_STEPS, iteration_noise_key
from mamlbench.runner.sized_tasks import SizedPart, filled_batch, limits, of_size, sized

EXACT = 1e-8
"""Relative difference allowed in float64."""


def padding_problem(
    spec: RunSpec, make: Callable[..., Algorithm], engine: Engine, sampler: TaskSampler, *, training: bool
) -> str:
    """Say why tasks of several sizes cannot be filled up; empty if they can, or if the run has one size.

    Both sides are computed in float64, by the engine of the run: the smallest task filled up to the largest and alone,
    in predictions after a few steps in every mode, and in the update of a meta-batch.
    """
    if not (spec.protocol.sizes_vary or spec.training.sizes_vary):
        return ""
    if isinstance(engine, LoopEngine):
        return "its engine computes one task after the other"
    try:
        algorithm = make(engine, precision="float64")
        for values, expected in _both_sides(spec, algorithm, sampler, training=training):
            if values.shape != expected.shape or not relative_difference(values, expected) < EXACT:
                return "it computes other numbers for a task that is filled up than for the task alone"
    except Exception as error:  # a method may raise anything for an example without an input and a label
        return f"it does not compute a task that is filled up: {describe_error(error)}"
    return ""


def _both_sides(
    spec: RunSpec, algorithm: Algorithm, sampler: TaskSampler, *, training: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Values of the smallest task filled up, and of the task alone."""
    if spec.protocol.sizes_vary:
        yield from _predictions(algorithm, *_episodes(spec.protocol, sampler, "val"), spec.protocol)
    if spec.training.sizes_vary and training and algorithm.trains_on == "episodes" and algorithm.additive:
        parts, batches = _episodes(spec.training, sampler, "train")
        whole = _update(spec, algorithm, parts, batches)
        alone = _update(spec, algorithm, parts[:1], batches[:1]) + _update(spec, algorithm, parts[1:], batches[1:])
        for name, value in alone.sums.items():
            yield whole.sums[name], value


def _episodes(
    shape: Training | Protocol, sampler: TaskSampler, split: str
) -> tuple[list[SizedPart], list[EpisodeBatch]]:
    """The smallest episode of a run, and the largest."""
    queries = min(shape.queries, FEW_QUERIES)
    sizes = zip(*limits(shape), strict=True)
    parts = [SizedPart([number], of_size(shape, *size)) for number, size in enumerate(sizes)]
    batches = [
        sampler.episodes(split, number, 1, ways=part.ways, shots=part.shots, queries=queries)
        for (number,), part in parts
    ]
    return parts, [EpisodeBatch(*in_precision(batch, "float64")) for batch in batches]


def _predictions(
    algorithm: Algorithm, parts: list[SizedPart], batches: list[EpisodeBatch], protocol: Protocol
) -> Iterator[tuple[Tensor, Tensor]]:
    for mode in {"transductive" if mode == "running" else mode for mode in protocol.modes}:
        sides = []
        for count in (2, 1):
            with sized(algorithm, [part.shape for part in parts[:count]]):
                batch = filled_batch(parts[:count], batches[:count])
                steps = islice(algorithm.adaptation(batch.support, batch.keys), FEW_STEPS + 1)
                sides.append([adapted.predict(batch.query.x, mode)[0] for adapted in steps])
        queries, ways = batches[0].query.y.shape[1], parts[0].shape.ways
        for whole, alone in zip(*sides, strict=True):
            yield whole[:queries, :ways], alone[:, :ways]


def _update(spec: RunSpec, algorithm: Algorithm, parts: list[SizedPart], batches: list[EpisodeBatch]) -> OuterUpdate:
    with noise_key_scope(iteration_noise_key(spec, 0)), sized(algorithm, [part.shape for part in parts]):
        return algorithm.compute_update(filled_batch(parts, batches))
