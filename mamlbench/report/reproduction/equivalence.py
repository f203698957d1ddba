"""Is our score the published one? Two one-sided tests, with both scores uncertain.

*reproduced* is shown, not assumed: the 90 % interval of the difference lies within the margin, which is the pair of
one-sided tests at 5 % (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987). *below* and *above* are
differences that are significant at 5 % (two-sided) without being shown to be smaller than the margin. Everything else
is *inconclusive*: too little is known, of our score or of the source's.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from mamlbench.student_t import LEVEL, t_quantile

DifferenceKind = Literal["reproduced", "below", "above", "inconclusive"]

NORMAL_95 = 1.959963984540054
"""Half width of a 95 % interval in standard errors, if they are known; a source's ± is over hundreds of episodes."""
NORMAL_90 = 1.6448536269514722
"""The same of a 90 % interval."""


class Score(NamedTuple):
    """A mean with its uncertainty."""

    mean: float
    standard_error: float = 0.0
    """0: taken as exact"""
    degrees_of_freedom: float = math.inf
    """of the standard error"""


class Difference(NamedTuple):
    """Ours minus the source's, with the 90 % interval of two one-sided tests."""

    kind: DifferenceKind
    mean: float
    low: float
    high: float


def compare_with_source(ours: Score, source: Score, margin: float) -> Difference:
    """Decide what the difference of two independent scores shows.

    Args:
        ours: our score.
        source: the published one, in the same unit.
        margin: largest difference that counts as the same score, above 0.
    """
    mean = ours.mean - source.mean
    error = math.hypot(ours.standard_error, source.standard_error)
    df = _degrees_of_freedom(ours, source, error)
    half = error * _quantile(1 - LEVEL, df)
    difference = Difference("inconclusive", mean, mean - half, mean + half)
    significant = abs(mean) > error * _quantile(1 - LEVEL / 2, df)
    if -margin < difference.low and difference.high < margin:
        return difference._replace(kind="reproduced")
    return difference._replace(kind="below" if mean < 0 else "above") if significant else difference


def _degrees_of_freedom(ours: Score, source: Score, error: float) -> float:
    """Satterthwaite's, of the standard error of the difference."""
    parts = [(side.standard_error, side.degrees_of_freedom) for side in (ours, source) if side.standard_error > 0]
    if len(parts) < 2:
        return parts[0][1] if parts else math.inf
    shares = (((part / error) ** 4) / df for part, df in parts)  # as shares, so that nothing overflows
    total = sum(shares)
    return 1 / total if total > 0 else math.inf


def _quantile(probability: float, df: float) -> float:
    if math.isinf(df):
        return NORMAL_95 if probability == 1 - LEVEL / 2 else NORMAL_90
    return float(t_quantile(probability, df))
