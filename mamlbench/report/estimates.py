"""One number per row: a mean over seeds where there are several, with the interval that goes with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple

from mamlbench.record import Interval
from mamlbench.report.groups import Row


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

    One seed: the run's own interval over episodes. Several: the mean over the seeds, with Student's t over them.
    """
    intervals = [getattr(test.modes[mode], quantity) for test in row.tests if mode in test.modes]
    known: list[Interval] = [interval for interval in intervals if interval is not None]
    if not known:
        return None
    if len(known) == 1:
        return Estimate(known[0], "episodes")
    return Estimate(over_seeds([interval.mean for interval in known]), "seeds")


def over_seeds(means: Sequence[float]) -> Interval:
    """Mean of two or more means and its 95 % interval by Student's t."""
    mean = fmean(means)
    if not math.isfinite(mean) or max(means) - min(means) <= 1e-12 * abs(mean):  # rounding errors are no spread
        return Interval(mean=mean, low=mean, high=mean)
    import numpy as np

    with np.errstate(over="ignore"):
        error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    half = _quantile(len(means) - 1) * error
    return Interval(mean=mean, low=mean - half, high=mean + half)


@lru_cache
def _quantile(freedom: int) -> float:
    from mamlbench.report.statistics import quantile

    return float(quantile(0.975, freedom))


def average(values: Sequence[float | None]) -> float | None:
    """Mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
