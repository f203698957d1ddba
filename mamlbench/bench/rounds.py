"""Timing in interleaved rounds: what drifts, drifts for everybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class Spread(NamedTuple):
    """A median with its 95 % interval over rounds (by order statistics), and the quartiles."""

    median: float
    low: float
    high: float
    quartiles: tuple[float, float]


def interleaved(work: Mapping[str, Callable[[], Any]], rounds: int) -> Iterator[tuple[str, float]]:
    """Yield (name, seconds): each once untimed, then each once per round, in turn."""
    for compute in work.values():
        compute()
    for number in range(rounds):
        names = list(work)
        for name in names[number % len(names) :] + names[: number % len(names)]:  # nobody always comes after the same
            began = time.perf_counter()
            work[name]()
            yield name, time.perf_counter() - began


def spread(values: list[float]) -> Spread:
    """Median, its 95 % interval and the quartiles. Fewer than six rounds give no interval (nan)."""
    median = float(np.median(values))
    low, high = stats.quantile_test(values, q=median, p=0.5).confidence_interval(0.95)
    first, third = np.quantile(values, [0.25, 0.75])
    return Spread(median, float(low), float(high), (float(first), float(third)))


def ratios(base: list[float], ours: list[float]) -> Spread:
    """How many times as fast as ``base``, round by round."""
    return spread([theirs / own for theirs, own in zip(base, ours, strict=True)])
