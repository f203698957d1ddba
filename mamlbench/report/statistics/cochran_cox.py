"""The test of Cochran and Cox for a difference whose variance is a sum of independently estimated components.

The critical value is the mean of the components' own critical values (Student's t), weighted by their variances
(Cochran & Cox, Experimental Designs, 1950, section 4.14). With three to ten values on each side the false-positive rate
is at most 5 %, whatever the variances; benchmarks/false_alarms.py measures it. The cost is power if both sides have
equal variances: with three values on each side, Student's test has four degrees of freedom and this test has two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mamlbench.student_t import Array, t_quantile

SMALLEST_P_VALUE = 1e-30
"""Smaller p-values are reported as 0: stdtrit is not defined so far out in the tail."""


def cochran_cox(difference: Array, variances: Sequence[Array], degrees_of_freedom: Sequence[ArrayLike]) -> Array:
    """Compute two-sided p-values: the levels at which the differences are just significant.

    Args:
        difference: difference of two means, ``[...]``.
        variances: components of the variance of the difference, ``[...]`` each.
        degrees_of_freedom: degrees of freedom of each component, a number or ``[...]``.
    """
    from scipy.optimize import elementwise

    total, weights = _weights(variances)
    # Without variance, equal means have t = 0 and unequal means have an infinite t.
    t = np.divide(np.abs(difference), np.sqrt(total), out=np.where(difference == 0, 0.0, np.inf), where=total > 0)
    t = np.where(np.isnan(total) | np.isnan(difference), np.nan, t)
    p_value = np.where(np.isnan(t), np.nan, 0.0)
    finite = np.isfinite(t)
    parts = [np.broadcast_to(part, t.shape)[finite] for part in (*weights, *degrees_of_freedom)]
    root = elementwise.find_root(
        lambda log_tail, t, *parts: t - _critical_t(log_tail, parts[: len(weights)], parts[len(weights) :]),
        (np.log(SMALLEST_P_VALUE), np.log(0.5)),
        args=(t[finite], *parts),
    )
    p_value[finite] = np.where(root.success, 2 * np.exp(root.x), 0.0)  # no root: below SMALLEST_P_VALUE
    return p_value


def least_significant_difference(
    level: float, variances: Sequence[Array], degrees_of_freedom: Sequence[ArrayLike]
) -> Array:
    """Compute the smallest difference that is significant at ``level``."""
    total, weights = _weights(variances)
    difference: Array = np.sqrt(total) * _critical_t(np.log(level / 2), weights, degrees_of_freedom)
    return difference


def _weights(variances: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Return the total variance and the share of each component; equal shares if the total is 0."""
    total = np.asarray(sum(variances))
    equal = np.full(total.shape, 1 / len(variances))
    return total, [np.divide(variance, total, out=equal.copy(), where=total > 0) for variance in variances]


def _critical_t(log_tail: Array | float, weights: Sequence[Array], degrees_of_freedom: Sequence[ArrayLike]) -> Array:
    """Return the weighted mean of the components' critical values for a one-sided tail ``exp(log_tail)``."""
    tail = np.exp(log_tail)
    terms = [-weight * t_quantile(tail, df) for weight, df in zip(weights, degrees_of_freedom, strict=True)]
    return np.asarray(sum(terms))
