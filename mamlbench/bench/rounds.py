"""Timing in interleaved rounds, so that a drift of the machine affects all competitors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class RoundStatistics(NamedTuple):
    """The median over rounds with its 95 % confidence interval (by order statistics), and the quartiles."""

    median: float
    low: float
    high: float
    quartiles: tuple[float, float]


def interleaved(work: Mapping[str, Callable[[], Any]], rounds: int) -> Iterator[tuple[str, float]]:
    """Run each competitor once untimed, then once per round in alternation; yield (name, seconds)."""
    for compute in work.values():
        compute()
    for index in range(rounds):
        names = list(work)
        first = index % len(names)  # rotated, so that no competitor always runs first
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            work[name]()
            yield name, time.perf_counter() - start


def summarize(values: list[float]) -> RoundStatistics:
    """Compute the median, its 95 % confidence interval (NaN with fewer than six rounds) and the quartiles."""
    median = float(np.median(values))
    low, high = stats.quantile_test(values, q=median, p=0.5).confidence_interval(0.95)
    first, third = np.quantile(values, [0.25, 0.75])
    return RoundStatistics(median, float(low), float(high), (float(first), float(third)))


def speedup(base: list[float], seconds: list[float]) -> RoundStatistics:
    """Compute the speedup over ``base``, round by round."""
    return summarize([reference / own for reference, own in zip(base, seconds, strict=True)])
