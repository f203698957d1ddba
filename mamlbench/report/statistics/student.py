"""Student's t distribution: quantiles, and the confidence interval of a mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEVEL = 0.05
"""Significance level: the probability of reporting a difference that does not exist."""


def t_quantile(probability: float, degrees_of_freedom: ArrayLike) -> Array:
    """Return the value of Student's t below which ``probability`` lies."""
    from scipy import special  # scipy.stats has the same function but takes a second to import

    quantile: Array = special.stdtrit(degrees_of_freedom, probability)
    return quantile


def standard_deviation(values: Array) -> Array:
    """Compute the sample standard deviation over the last dimension; exactly 0 for equal values."""
    deviation = np.std(values, axis=-1, ddof=1)
    # The mean of equal values is rounded, so numpy reports a tiny deviation where there is none.
    equal_is_zero: Array = np.where(np.ptp(values, axis=-1) <= 1e-12, 0.0, deviation)
    return equal_is_zero


def half_width(values: Array) -> Array:
    """Compute the half-width of the 95 % confidence interval of the mean of independent values ``[..., n]``."""
    count = values.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):  # the square of 1e308 is infinite
        half: Array = t_quantile(1 - LEVEL / 2, count - 1) * standard_deviation(values) / np.sqrt(count)
    return half
