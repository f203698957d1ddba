"""The test of Cochran and Cox for a difference whose error is a sum of parts with variances of their own.

The critical value is the mean of the parts' own (Student's t), weighted by their variances (Cochran & Cox, Experimental
Designs, 1950, section 4.14). With three to ten values a side it calls equal means different in at most 5 % of all
cases, whatever the variances; benchmarks/false_alarms.py measures it. The price is power where both sides vary alike:
three against three, where Student's test has four degrees of freedom, have two here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST = 1e-30
"""p-values below are zero: far out in the tails stdtrit knows no numbers."""


def cochran_cox(difference: Array, variances: Sequence[Array], freedoms: Sequence[int]) -> Array:
    """Two-sided p-values: the level at which the differences would just be significant.

    Args:
        difference: of means, ``[...]``.
        variances: the parts of its variance, ``[...]`` each.
        freedoms: the parts' degrees of freedom.
    """
    from scipy.optimize import elementwise

    total, weights = _weights(variances)
    t = np.divide(np.abs(difference), np.sqrt(total), out=np.where(difference == 0, 0.0, np.inf), where=total > 0)
    t = np.where(np.isnan(total) | np.isnan(difference), np.nan, t)
    p_value = np.where(np.isnan(t), np.nan, 0.0)
    finite = np.isfinite(t)
    found = elementwise.find_root(
        lambda log_tail, t, *weights: t - _critical(log_tail, weights, freedoms),
        (np.log(LEAST), np.log(0.5)),
        args=(t[finite], *(each[finite] for each in weights)),
    )
    p_value[finite] = np.where(found.success, 2 * np.exp(found.x), 0.0)  # no root: beyond that of LEAST
    return p_value


def least_significant(level: float, variances: Sequence[Array], freedoms: Sequence[int]) -> Array:
    """The smallest difference that is significant at ``level``."""
    total, weights = _weights(variances)
    critical: Array = np.sqrt(total) * _critical(np.log(level / 2), weights, freedoms)
    return critical


def _weights(variances: Sequence[Array]) -> tuple[Array, list[Array]]:
    total = np.asarray(sum(variances))
    equal = np.full(total.shape, 1 / len(variances))
    return total, [np.divide(each, total, out=equal.copy(), where=total > 0) for each in variances]


def _critical(log_tail: Array | float, weights: Sequence[Array], freedoms: Sequence[int]) -> Array:
    from scipy import special

    tail = np.exp(log_tail)
    values = [-each * special.stdtrit(freedom, tail) for each, freedom in zip(weights, freedoms, strict=True)]
    return np.asarray(sum(values))
