"""The numbers behind the figures: few enough to draw, whatever the number of runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from mamlbench.record import Measurement, RunRecord
from mamlbench.report.figures.style import SEGMENTS
from mamlbench.report.figures.view import is_usable
from mamlbench.report.table.groups import Row

MOST_POINTS = 200
"""Points of one curve; more cannot be seen at the size of a figure."""
MOST_VALUES = 12
"""Different scores per episode up to which each has a bar of its own."""
BINS = 20

_T = TypeVar("_T")


@dataclass(frozen=True)
class Curve:
    """Mean over training seeds, with the lowest and the highest of them; lists of equal length."""

    x: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    complete: bool = True
    """Whether the runs behind it were finished."""


def learning_curve(row: Row, clock: str, scale: float) -> Curve:
    """Validation score against ``clock``: 'iteration', 'device_seconds' or 'wall_seconds'.

    Finished runs where there are any, else those that were not; x is the mean over the seeds at the same iteration.
    """
    at: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for run in row.seeds or row.unfinished:
        for iteration, (x, y) in _validations(run, clock).items():
            at[iteration].append((x, scale * y))
    return _curve([at[iteration] for iteration in sorted(at)], complete=bool(row.seeds))


def _validations(run: RunRecord, clock: str) -> dict[int, tuple[float, float]]:
    return {
        point.iteration: (getattr(point, clock), point.validation)
        for point in run.curve
        if point.validation is not None and is_usable(point.validation) and is_usable(getattr(point, clock))
    }


def step_curve(row: Row, scale: float) -> Curve:
    """Test score against the number of adaptation steps, in the first mode."""
    at: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for test in row.tests:
        for step, score in zip(test.steps_reported, test.score_after_step, strict=False):
            if is_usable(score) and is_usable(step):
                at[step].append((float(step), scale * score))
    return _curve([at[step] for step in sorted(at)])


def _curve(points: Sequence[Sequence[tuple[float, float]]], *, complete: bool = True) -> Curve:
    """Only points that every seed reached, where there are any: else a mean would jump where a seed ends."""
    most = max((len(each) for each in points), default=0)
    kept = _thinned([each for each in points if len(each) == most])
    ys = [[y for _, y in each] for each in kept]
    return Curve(
        [fmean(x for x, _ in each) for each in kept],
        [fmean(y) for y in ys],
        [min(y) for y in ys],
        [max(y) for y in ys],
        complete,
    )


def _thinned(points: Sequence[_T]) -> list[_T]:
    """Every n-th point, the last one always."""
    stride = -(-len(points) // MOST_POINTS) or 1
    return list(points[::-1][::stride][::-1])


@dataclass(frozen=True)
class Distribution:
    """Share of the episodes in each bin, before and after training."""

    trained: list[float]
    untrained: list[float]
    mean: float


def distributions(rows: Sequence[Row], mode: str, scale: float) -> tuple[list[float], float, list[Distribution | None]]:
    """How the scores of single episodes are spread, over all seeds together.

    Returns the middle of each bin, the width of a bin, and a distribution per row (None where it has no scores).
    Where scores take a few values only (one query per class leaves six of five ways) each is a bin. Else the last
    bin holds what is beyond the 99th percentile too, so that one bad episode does not flatten all others.
    """
    import numpy as np

    found = [(_episodes(row, mode, "episode_scores"), _episodes(row, mode, "untrained_episode_scores")) for row in rows]
    everything = np.array([value for pair in found for values in pair for value in values]) * scale
    if not everything.size:
        return [], 1.0, [None for _ in rows]
    values = np.unique(everything.round(4))
    if len(values) <= MOST_VALUES:
        gap = float(np.diff(values).min()) if len(values) > 1 else 1.0
        middles, width = values, gap
        edges = np.concatenate(([-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]))
    else:
        edges = np.linspace(values[0], np.percentile(everything, 99), BINS + 1)
        middles, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
        edges[0], edges[-1] = -np.inf, np.inf

    def shares(scores: Sequence[float]) -> list[float]:
        counts, _ = np.histogram(np.array(scores) * scale, edges)
        return [float(count) for count in counts / max(len(scores), 1)]

    spread = [
        Distribution(shares(trained), shares(untrained), scale * fmean(trained)) if trained else None
        for trained, untrained in found
    ]
    return [float(each) for each in middles], width, spread


def _episodes(row: Row, mode: str, field: str) -> list[float]:
    results = [test.modes[mode] for test in row.tests if mode in test.modes]
    return [value for result in results for value in getattr(result, field) if is_usable(value)]


def seconds_by_segment(row: Row) -> dict[str, float]:
    """Mean wall seconds by kind of work, of the finished runs, else of those that were not."""
    measured = row.measurements or [run.measurement for run in row.unfinished if run.measurement is not None]
    return {name: fmean(_seconds(each, name) for each in measured) for name in SEGMENTS} if measured else {}


def _seconds(measured: Measurement, name: str) -> float:
    segment = measured.segments.get(name)
    return segment.wall if segment is not None and is_usable(segment.wall) and segment.wall > 0 else 0.0


def pareto_front(points: Iterable[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """Places of the points (cost, score) that no other one beats in both, cheapest first."""
    sign = 1.0 if higher_is_better else -1.0
    ordered = sorted(enumerate(points), key=lambda each: (each[1][0], -sign * each[1][1]))
    front: list[int] = []
    best = -float("inf")
    for place, (_, score) in ordered:
        if sign * score > best:
            front.append(place)
            best = sign * score
    return front
