"""The data series of the figures, thinned to a number of points that can be drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

from mamlbench.record import Measurement, ModeResult, RunRecord
from mamlbench.report.figures.style import SEGMENTS
from mamlbench.report.figures.view import is_drawable
from mamlbench.report.table.groups import RowRuns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_POINTS = 200
"""Points of one curve; more are not visible at the size of a figure."""
CURVES_IN_FULL = 6
"""Curves of one figure from which on each has fewer points."""
MAX_DISTINCT_SCORES = 12
"""Distinct scores per episode up to which each gets its own bin."""
BINS = 20
"""Number of bins otherwise."""

_Point = TypeVar("_Point")


@dataclass(frozen=True)
class Curve:
    """Mean over training seeds, with the lowest and highest seed. All lists have equal length."""

    x: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    complete: bool = True
    """Whether its runs finished."""


def points_per_curve(rows: Sequence[RowRuns]) -> int:
    """Return how many points each curve of a figure may have: fewer if there are many, which would hide each other."""
    return MAX_POINTS * CURVES_IN_FULL // max(len(rows), CURVES_IN_FULL)


def learning_curve(row: RowRuns, metric: str, clock: str, scale: float, max_points: int = MAX_POINTS) -> Curve:
    """Compute the validation score against ``clock``: 'iteration', 'device_seconds' or 'wall_seconds'.

    The score is in ``metric``; empty, as for rows of which nothing was tested, it is that of the first metric.
    Uses the finished runs, or the unfinished ones if there are none. x is the mean over seeds at the same iteration.
    """
    by_iteration: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for run in row.seed_runs or row.unfinished:
        for iteration, (x, y) in _validations(run, metric, clock).items():
            by_iteration[iteration].append((x, scale * y))
    points = [by_iteration[iteration] for iteration in sorted(by_iteration)]
    return _curve(points, complete=bool(row.seed_runs), max_points=max_points)


def _validations(run: RunRecord, metric: str, clock: str) -> dict[int, tuple[float, float]]:
    return {
        point.iteration: (getattr(point, clock), score)
        for point in run.curve
        for score in [point.validation.get(metric or next(iter(point.validation), ""))]
        if score is not None and is_drawable(score) and is_drawable(getattr(point, clock))
    }


def step_curve(row: RowRuns, metric: str, scale: float) -> Curve:
    """Compute the test score in ``metric`` against the number of adaptation steps, in the first mode."""
    by_step: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for test in row.tests:
        scores = test.metrics[metric].score_after_step if metric in test.metrics else []
        for step, score in zip(test.steps_reported, scores, strict=False):
            if is_drawable(score) and is_drawable(step):
                by_step[step].append((float(step), scale * score))
    return _curve([by_step[step] for step in sorted(by_step)])


def _curve(
    points: Sequence[Sequence[tuple[float, float]]], *, complete: bool = True, max_points: int = MAX_POINTS
) -> Curve:
    """Average over seeds. Only points with most seeds are used: otherwise the mean would jump where a seed ends."""
    seeds = max((len(point) for point in points), default=0)
    complete_points = _thin([point for point in points if len(point) == seeds], max_points)
    ys = [[y for _, y in point] for point in complete_points]
    return Curve(
        [fmean(x for x, _ in point) for point in complete_points],
        [fmean(y) for y in ys],
        [min(y) for y in ys],
        [max(y) for y in ys],
        complete,
    )


def _thin(points: Sequence[_Point], max_points: int) -> list[_Point]:
    """Take every n-th point, always including the last."""
    stride = -(-len(points) // max_points) or 1
    return list(points[::-1][::stride][::-1])


@dataclass(frozen=True)
class Distribution:
    """Fraction of the episodes in each bin, for the trained and the untrained network."""

    trained: list[float]
    untrained: list[float]
    mean: float


def distributions(
    rows: Sequence[RowRuns], metric: str, mode: str, scale: float
) -> tuple[list[float], float, list[Distribution | None]]:
    """Compute histograms of the scores of single episodes, over all seeds together.

    Returns the center of each bin, the width of a bin, and a distribution per row (None if it has no scores).
    """
    import numpy as np

    fields = ("episode_scores", "untrained_episode_scores")
    scores = [[_episodes(row.mode_results(metric, mode), field) for field in fields] for row in rows]
    all_scores = np.array([value for pair in scores for values in pair for value in values]) * scale
    if not all_scores.size:
        return [], 1.0, [None for _ in rows]
    edges, centers, width = _bins(all_scores)

    def fractions(scores: Sequence[float]) -> list[float]:
        counts, _ = np.histogram(np.array(scores) * scale, edges)
        return [float(count) for count in counts / max(len(scores), 1)]

    histograms = [
        Distribution(fractions(trained), fractions(untrained), scale * fmean(trained)) if trained else None
        for trained, untrained in scores
    ]
    return [float(center) for center in centers], width, histograms


def _bins(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Choose edges, centers and width of the bins.

    If scores take only a few values (one query per class leaves six for five ways), each value is a bin. Otherwise the
    last bin includes everything beyond the 99th percentile, so that one bad episode does not flatten the others.
    """
    import numpy as np

    values = np.unique(scores.round(4))
    if len(values) <= MAX_DISTINCT_SCORES:
        gap = float(np.diff(values).min()) if len(values) > 1 else 1.0
        edges = np.concatenate(([-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]))
        return edges, values, gap
    edges = np.linspace(values[0], np.percentile(scores, 99), BINS + 1)
    centers, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
    edges[0], edges[-1] = -np.inf, np.inf
    return edges, centers, width


def _episodes(results: Iterable[ModeResult], field: str) -> list[float]:
    return [value for result in results for value in getattr(result, field) if is_drawable(value)]


def seconds_by_segment(row: RowRuns) -> dict[str, float]:
    """Return mean wall seconds by kind of work, of the finished runs, or the unfinished ones if there are none."""
    measurements = row.measurements or [run.measurement for run in row.unfinished if run.measurement is not None]
    if not measurements:
        return {}
    return {name: fmean(_seconds(measurement, name) for measurement in measurements) for name in SEGMENTS}


def _seconds(measurement: Measurement, name: str) -> float:
    segment = measurement.segments.get(name)
    return segment.wall if segment is not None and is_drawable(segment.wall) and segment.wall > 0 else 0.0


def pareto_front(points: Iterable[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """Return the indices of the points (cost, score) that no other point dominates, cheapest first."""
    sign = 1.0 if higher_is_better else -1.0
    ordered = sorted(enumerate(points), key=lambda entry: (entry[1][0], -sign * entry[1][1]))
    front: list[int] = []
    best = -float("inf")
    for index, (_, score) in ordered:
        if sign * score > best:
            front.append(index)
            best = sign * score
    return front
