"""One number per table row: the mean over seeds if there are several, with its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from mamlbench.record import Interval
from mamlbench.report.statistics.episode_scores import classes_of, episode_scores
from mamlbench.report.statistics.significance_tests import MIN_SEEDS_PER_SIDE
from mamlbench.report.statistics.variance import (
    VarianceComponents,
    variance_between_episodes,
    variance_of_difference,
)
from mamlbench.report.table.groups import RowRuns
from mamlbench.student_t import LEVEL, Array, confidence_interval, t_quantile


class Estimate(NamedTuple):
    """A mean with its 95 % confidence interval."""

    interval: Interval
    over: str
    """What the interval is over: 'seeds' or 'episodes' of these test classes."""
    new_classes: Interval | None = None
    """The interval for new classes, over seeds too if there are three or more; None if the records do not give it."""

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.interval.high - self.interval.low) / 2

    @property
    def half_width_new_classes(self) -> float | None:
        """The same of the interval for new classes."""
        return None if self.new_classes is None else (self.new_classes.high - self.new_classes.low) / 2


def estimate(row: RowRuns, metric: str, mode: str, quantity: str) -> Estimate | None:
    """Estimate 'score', 'untrained' or 'gain' of a row in one metric and mode; None if no run was tested so.

    The interval for these test classes is over seeds (Student's t) if there are three or more and their means differ.
    An interval over two seeds is too wide to be useful, and one over means that are equal by chance is too narrow: in
    both cases it is over the episodes of these checkpoints.
    """
    intervals = [getattr(result, quantity) for result in row.mode_results(metric, mode)]
    seed_intervals: list[Interval] = [interval for interval in intervals if interval is not None]
    if not seed_intervals:
        return None
    if len(seed_intervals) == 1:
        (result,) = row.mode_results(metric, mode)
        return Estimate(seed_intervals[0], "episodes", getattr(result, f"{quantity}_new_classes", None))
    over_seeds = interval_over_seeds([interval.mean for interval in seed_intervals])
    scores = episode_scores(row, metric, mode, quantity)
    new_classes = None if scores is None else _interval_for_new_classes(row, scores, over_seeds.mean)
    if scores is None or (len(seed_intervals) >= MIN_SEEDS_PER_SIDE and over_seeds.low < over_seeds.high):
        return Estimate(over_seeds, "seeds", new_classes)
    return Estimate(confidence_interval(over_seeds.mean, scores.mean(0)), "episodes", new_classes)


def _interval_for_new_classes(row: RowRuns, scores: Array, mean: float) -> Interval | None:
    """Return the interval of the mean of scores ``[seeds, episodes]`` for new classes, and new seeds from three on."""
    shared = classes_of([row], scores.shape[-1])
    if shared is None:
        return None
    variance, df = variance_between_episodes(scores.mean(0), shared)
    if len(scores) >= MIN_SEEDS_PER_SIDE:
        variance, df = variance_of_difference([VarianceComponents.from_scores(scores, shared)], variance, df)
    return _around(mean, float(t_quantile(1 - LEVEL / 2, df) * np.sqrt(variance)))


def _around(mean: float, half: float) -> Interval:
    return Interval(mean=mean, low=mean - half, high=mean + half)


def interval_over_seeds(seed_means: Sequence[float]) -> Interval:
    """Compute the mean of two or more seeds' means and its 95 % confidence interval (Student's t)."""
    return confidence_interval(mean_of(seed_means), np.array(seed_means, np.float64))


def mean_if_any(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there are none."""
    numbers = [value for value in values if value is not None]
    return mean_of(numbers) if numbers else None


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of one or more numbers; infinite or NaN if their sum overflows (a record may hold 1e308)."""
    try:
        return fmean(values)
    except (OverflowError, ValueError):
        return sum(values) / len(values)
