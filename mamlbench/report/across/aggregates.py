"""Interquartile mean, performance profile and probability of improvement of methods (Agarwal et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations

import numpy as np

from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.table_parts import MIN_RUNS
from mamlbench.report.statistics.score_aggregates import (
    bootstrap_interval,
    bootstrap_values,
    expanded_tail,
    interquartile_mean,
    percentile_interval,
    performance_profile,
    probability_of_improvement,
)
from mamlbench.student_t import Array

RESAMPLES = 50_000
"""Bootstrap samples of runs for interquartile means, as rliable has them."""
CELL_RESAMPLES = 10_000
"""Bootstrap samples of runs and cells."""
CURVE_RESAMPLES = 2_000
"""Bootstrap samples for profiles, and for each pair of methods, as rliable has them."""
MIN_CELLS_FOR_NEW_CELLS = 5
"""An interval for new cells is drawn from the cells themselves, so that there must be some."""
MAX_THRESHOLDS = 8


@dataclass(frozen=True)
class Aggregate:
    """The interquartile mean of one method, in the metric's own unit."""

    interquartile_mean: float
    mean: float
    runs: int
    interval: Array | None
    """Low and high ``[2]``, for new runs on these cells; None with fewer than three runs."""
    percentiles: Array | None
    """The same without the expansion for few runs, as rliable computes it."""
    new_cells: Array | None
    """The interval for new cells as well; None with fewer than five cells."""


@dataclass(frozen=True)
class Profile:
    """The performance profile of one method."""

    shares: Array
    """Share of scores better than each threshold ``[T]``."""
    band: Array | None
    """Low and high ``[2, T]``; None with fewer than three runs."""


@dataclass(frozen=True)
class Improvement:
    """How probably a run of one method is better than a run of another, on a random cell."""

    first: int
    second: int
    """Positions of the methods."""
    probability: float
    interval: Array | None
    """Low and high ``[2]``; None if either has fewer than three runs."""


@lru_cache(maxsize=4)  # a table and a figure show the same
def aggregates(scores: AcrossScores) -> list[Aggregate]:
    """Compute the interquartile mean of each method, from scores on one scale."""
    return [_aggregate(runs) for runs in scores.scores]


def _aggregate(scores: Array) -> Aggregate:
    """Compute the interquartile mean of ``[R, M]`` with its intervals, expanded for few runs and few cells.

    The middle half of the scores is that of half of the cells, if cells differ more than runs do; so the variance
    between runs has M (R - 1) / 2 degrees of freedom (benchmarks/across_coverage.py counts how often it is right).
    """
    runs, cells = scores.shape
    interval, percentiles, new_cells = None, None, None
    if runs >= MIN_RUNS:
        values = bootstrap_values(interquartile_mean, scores, resamples=RESAMPLES)
        percentiles = percentile_interval(values)
        interval = percentile_interval(values, expanded_tail(runs, cells * (runs - 1) / 2))
    if cells >= MIN_CELLS_FOR_NEW_CELLS:
        values = bootstrap_values(interquartile_mean, scores, resamples=CELL_RESAMPLES, new_cells=True)
        new_cells = percentile_interval(values, expanded_tail(cells, cells - 1))
    return Aggregate(float(interquartile_mean(scores)), float(scores.mean()), runs, interval, percentiles, new_cells)


def profiles(scores: AcrossScores, thresholds: Array) -> list[Profile]:
    """Compute the performance profile of each method: the share of its scores better than each threshold."""
    sign = 1.0 if scores.cells[0].higher_is_better else -1.0
    profile = partial(performance_profile, thresholds=sign * thresholds)
    return [
        Profile(profile(runs), _curve_interval(profile, runs) if len(runs) >= MIN_RUNS else None)
        for runs in scores.directed
    ]


@lru_cache(maxsize=4)
def improvements(scores: AcrossScores) -> list[Improvement]:
    """Compute the probability of improvement of each method over every later one."""
    results = []
    for first, second in combinations(range(len(scores.methods)), 2):
        x, y = scores.directed[first], scores.directed[second]
        enough = min(len(x), len(y)) >= MIN_RUNS
        interval = _curve_interval(probability_of_improvement, x, y) if enough else None
        results.append(Improvement(first, second, float(probability_of_improvement(x, y)), interval))
    return results


def _curve_interval(statistic: Callable[..., Array], *scores: Array) -> Array:
    return bootstrap_interval(statistic, *scores, resamples=CURVE_RESAMPLES)


def round_thresholds(scores: AcrossScores) -> Array:
    """Return up to eight round numbers between the lowest and the highest score: 0.5, 0.6, 0.7."""
    low = min(float(runs.min()) for runs in scores.scores)
    high = max(float(runs.max()) for runs in scores.scores)
    if not high > low:
        return np.array([low])
    step = 10.0 ** math.floor(math.log10((high - low) / MAX_THRESHOLDS))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if (high - low) / (factor * step) <= MAX_THRESHOLDS - 1)
    first, last = math.ceil(low / step), math.floor(high / step)
    return np.array([number * step for number in range(first, last + 1)] or [low])
