"""Comparing several rows with the best of them, with the family-wise error rate controlled by Holm's method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mamlbench.report.statistics.significance_tests import compare
from mamlbench.student_t import LEVEL, Array


def holm(p_values: ArrayLike, family_size: int | None = None) -> Array:
    """Adjust p-values along the last dimension so that the family-wise error rate is controlled.

    Holm, Scandinavian Journal of Statistics 6, 1979.

    Args:
        p_values: p-values of the comparisons made, ``[..., comparisons]``.
        family_size: number of comparisons that could have been made, if these were selected by their outcome.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, axis=-1)
    remaining = (family_size or p_values.shape[-1]) - np.arange(p_values.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p_values, order, -1) * remaining, axis=-1)
    adjusted = np.empty_like(stepped)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), -1)
    return adjusted


class BestComparison(NamedTuple):
    """How one of several rows compares with the best. All fields but the first are None for the best row itself."""

    may_be_best: bool
    """Whether the row is the best or not significantly worse (Holm-corrected)."""
    effect_size: float | None = None
    """Its scores minus the best row's, in standard deviations (``Comparison.effect_size``)."""
    minimum_detectable_effect: float | None = None
    """The smallest difference from the best that is found with a power of 80 %, before the correction."""


def compare_with_best(scores: Sequence[Array], *, higher_is_better: bool) -> list[BestComparison]:
    """Compare rows of scores ``[seeds, episodes]`` with the best of them.

    The best row is selected by its outcome, so the correction counts every pair of rows, not only those with the best.
    """
    if len(scores) < 2:
        return [BestComparison(True) for _ in scores]
    sign = 1.0 if higher_is_better else -1.0
    best = int(np.argmax([sign * row.mean() for row in scores]))
    others = [index for index in range(len(scores)) if index != best]
    p_values, effect_sizes, detectable = _against_best(scores[best], [scores[index] for index in others])
    adjusted = holm(p_values, family_size=len(scores) * (len(scores) - 1) // 2)
    may_be_best = [not p < LEVEL for p in adjusted]  # a NaN p-value is not significant
    results = map(BestComparison, may_be_best, effect_sizes.tolist(), detectable.tolist())
    by_index = dict(zip(others, results, strict=True))
    return [by_index.get(index, BestComparison(True)) for index in range(len(scores))]


def may_be_best(scores: Sequence[Array], *, higher_is_better: bool) -> list[bool]:
    """Return for each row of scores ``[seeds, episodes]`` whether it is the best or not significantly worse."""
    return [row.may_be_best for row in compare_with_best(scores, higher_is_better=higher_is_better)]


def _against_best(best: Array, others: Sequence[Array]) -> Array:
    """Return p-values, effect sizes and detectable effects ``[3, others]``, comparing rows of equal shape at once."""
    results = np.empty((3, len(others)))
    for shape in {scores.shape for scores in others}:
        indices = [index for index, scores in enumerate(others) if scores.shape == shape]
        comparison = compare(np.stack([others[index] for index in indices]), best[None])
        results[:, indices] = (
            comparison.conservative_p_value,
            comparison.effect_size,
            comparison.minimum_detectable_effect,
        )
    return results
