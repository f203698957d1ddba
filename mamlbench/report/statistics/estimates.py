"""One number per row: a mean over seeds where there are several, with the interval that goes with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple

from mamlbench.record import Interval
from mamlbench.report.statistics.comparison import SEEDS_FOR_A_CLAIM, half_width, quantile
from mamlbench.report.statistics.episode_scores import episode_scores
from mamlbench.report.table.groups import Row


class Estimate(NamedTuple):
    """A mean with its 95 % interval, and what the interval is over."""

    interval: Interval
    over: str
    """'seeds' or 'episodes'."""

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.interval.high - self.interval.low) / 2


def estimate(row: Row, mode: str, quantity: str) -> Estimate | None:
    """Estimate 'score', 'untrained' or 'gain' of a row in one mode; None where no run of it was tested so.

    The interval is over the seeds (Student's t) where there are three or more, and they differ at all: of two it says
    next to nothing, and of means that are equal by chance too much. Else it is over the episodes of these checkpoints.
    """
    intervals = [getattr(test.modes[mode], quantity) for test in row.tests if mode in test.modes]
    known: list[Interval] = [interval for interval in intervals if interval is not None]
    if not known:
        return None
    if len(known) == 1:
        return Estimate(known[0], "episodes")
    seeds = over_seeds([interval.mean for interval in known])
    if len(known) >= SEEDS_FOR_A_CLAIM and seeds.low < seeds.high:
        return Estimate(seeds, "seeds")
    scores = episode_scores(row, mode, quantity)
    if scores is None:
        return Estimate(seeds, "seeds")
    half = float(half_width(scores.mean(0)))
    return Estimate(Interval(mean=seeds.mean, low=seeds.mean - half, high=seeds.mean + half), "episodes")


def over_seeds(means: Sequence[float]) -> Interval:
    """Mean of two or more means and its 95 % interval by Student's t."""
    mean = mean_of(means)
    if not math.isfinite(mean) or max(means) - min(means) <= 1e-12 * abs(mean):  # rounding errors are no spread
        return Interval(mean=mean, low=mean, high=mean)
    deviation = math.dist(means, [mean] * len(means)) / math.sqrt(len(means) - 1)
    half = _quantile(len(means) - 1) * deviation / math.sqrt(len(means))
    return Interval(mean=mean, low=mean - half, high=mean + half)


@lru_cache
def _quantile(freedom: int) -> float:
    return float(quantile(0.975, freedom))


def average(values: Sequence[float | None]) -> float | None:
    """Mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return mean_of(known) if known else None


def mean_of(values: Sequence[float]) -> float:
    """Mean of one number or more; where numbers have no finite sum (a record may hold 1e308), infinite or NaN."""
    try:
        return fmean(values)
    except (OverflowError, ValueError):
        return sum(values) / len(values)
