"""Student's t distribution: quantiles, and the confidence interval of a mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mamlbench.record import Interval

Array = NDArray[np.float64]

LEVEL = 0.05
"""Significance level: the probability of reporting a difference that does not exist."""


def t_quantile(probability: ArrayLike, degrees_of_freedom: ArrayLike) -> Array:
    """Return the value of Student's t below which ``probability`` lies."""
    from scipy import special  # scipy.stats has the same function but takes a second to import

    quantile: Array = special.stdtrit(degrees_of_freedom, probability)
    return quantile


def standard_deviation(values: Array) -> Array:
    """Compute the sample standard deviation over the last dimension; exactly 0 for equal values."""
    deviation: Array = np.sqrt(_variance(values))
    return deviation


def _variance(values: Array) -> Array:
    # in the order of scipy.stats.ttest_1samp, so that intervals are its own to the last digit
    count = values.shape[-1]
    mean = values.mean(axis=-1, keepdims=True)
    variance = np.mean((values - mean) ** 2, axis=-1) * (count / (count - 1))
    # The mean of equal values is rounded, so that they seem to differ by a tiny amount.
    rounding = 1e-12 * np.maximum(1.0, np.abs(values).max(axis=-1))
    equal_is_zero: Array = np.where(np.ptp(values, axis=-1) <= rounding, 0.0, variance)
    return equal_is_zero


def half_width(values: Array) -> Array:
    """Compute the half-width of the 95 % confidence interval of the mean of independent values ``[..., n]``."""
    count = values.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):  # the square of 1e308 is infinite
        half: Array = t_quantile(1 - LEVEL / 2, count - 1) * np.sqrt(_variance(values) / count)
    return half


PILOT_EPISODES = 200
"""Episodes from whose scores ``episodes_needed`` is computed."""


def episodes_needed(pilot: Array, target: float) -> int:
    """Compute how many values an interval with this half-width needs, from the first of them, ``[n]``.

    Stein (Annals of Mathematical Statistics 16, 1945): the number depends on the variance of the first values alone and
    not on their mean, so that an interval of the mean of all of them keeps its coverage, which stopping at the first
    interval that is narrow enough would not.

    Args:
        pilot: the first values, two or more, finite.
        target: half-width of the 95 % interval.
    """
    ratio = float(t_quantile(1 - LEVEL / 2, len(pilot) - 1)) * float(standard_deviation(pilot)) / target
    return max(len(pilot), math.ceil(min(ratio, 2.0**31) ** 2))


def confidence_interval(mean: float, values: Array) -> Interval:
    """Return the 95 % confidence interval of the mean of independent values ``[n]``; a point if they are equal.

    Args:
        mean: of the values, as the caller reports it.
        values: two or more.
    """
    half = float(half_width(values)) if math.isfinite(mean) else 0.0
    if half == 0.0:
        return Interval(mean=mean, low=mean, high=mean)
    center = float(values.mean())
    return Interval(mean=mean, low=center - half, high=center + half)
