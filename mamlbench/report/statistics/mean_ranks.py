"""Ranks of methods over many cells: Friedman, Iman and Davenport, Nemenyi, Wilcoxon with Holm's correction.

Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets" (JMLR 7, 2006), whose N data sets are our M
cells; Garcia and Herrera (JMLR 9, 2008) and Benavoli, Corani and Mangili (JMLR 17, 2016) for pairs of methods by
Wilcoxon's signed-rank test with Holm's correction. Scores ``[M, K]`` are of K methods on M cells; higher is better.
Numbers equal those of scipy and of scikit-posthocs 0.17.1.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from mamlbench.report.statistics.multiple_comparisons import holm
from mamlbench.student_t import LEVEL, Array

MIN_METHODS_FOR_FRIEDMAN = 3


class Friedman(NamedTuple):
    """Whether all methods rank alike."""

    chi_squared: float
    p_value: float
    f_statistic: float
    """Iman and Davenport's, which is less conservative; Demsar's equation after (7)."""
    f_p_value: float


def ranks_of(scores: Array) -> Array:
    """Rank methods on each cell ``[M, K]``: 1 is the best, equal scores share their mean rank."""
    from scipy import stats

    ranks: Array = stats.rankdata(-scores, axis=-1)
    return ranks


def friedman(scores: Array) -> Friedman:
    """Test that all of three or more methods rank alike. Raises ValueError for fewer."""
    from scipy import stats

    cells, methods = scores.shape
    if methods < MIN_METHODS_FOR_FRIEDMAN:
        raise ValueError(f"Friedman's test compares three or more methods, not {methods}")
    if (scores == scores[:, :1]).all():  # every rank is tied
        return Friedman(0.0, 1.0, 0.0, 1.0)
    chi_squared, p_value = map(float, stats.friedmanchisquare(*scores.T))
    remaining = cells * (methods - 1) - chi_squared
    f_statistic = (cells - 1) * chi_squared / remaining if remaining > 1e-9 * chi_squared else np.inf
    f_p_value = float(stats.f.sf(f_statistic, methods - 1, (methods - 1) * (cells - 1)))
    return Friedman(chi_squared, p_value, float(f_statistic), f_p_value)


def critical_difference(methods: int, cells: int, level: float = LEVEL) -> float:
    """Return Nemenyi's critical difference of mean ranks: q sqrt(K (K + 1) / (6 M))."""
    from scipy import stats

    q = float(stats.studentized_range.ppf(1 - level, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * cells)))


def nemenyi_p_values(scores: Array) -> Array:
    """Compute Nemenyi's p-value of each pair of methods ``[K, K]``, corrected for their number; 1 on the diagonal."""
    from scipy import stats

    cells, methods = scores.shape
    mean_ranks = ranks_of(scores).mean(0)
    q = np.abs(mean_ranks[:, None] - mean_ranks) / np.sqrt(methods * (methods + 1) / (6 * cells))
    p_values: Array = stats.studentized_range.sf(q * np.sqrt(2), methods, np.inf)
    np.fill_diagonal(p_values, 1.0)
    return p_values


def wilcoxon_p_values(scores: Array) -> Array:
    """Compute the p-value of Wilcoxon's signed-rank test of each pair of methods ``[K, K]``, uncorrected.

    Cells on which both have the same score are left out (scipy's default); a pair that is equal everywhere has p = 1.
    """
    from scipy import stats

    methods = scores.shape[-1]
    p_values = np.ones((methods, methods))
    for i, j in combinations(range(methods), 2):
        if (scores[:, i] != scores[:, j]).any():
            p_values[i, j] = p_values[j, i] = stats.wilcoxon(scores[:, i], scores[:, j]).pvalue
    return p_values


def holm_of_pairs(p_values: Array) -> Array:
    """Correct the p-values of all pairs ``[K, K]`` by Holm's method, as one family."""
    upper = np.triu_indices(len(p_values), 1)
    corrected = np.ones_like(p_values)
    corrected[upper] = corrected.T[upper] = holm(p_values[upper])
    return corrected


def smallest_p_value(cells: int, pairs: int) -> float:
    """Return the smallest p-value that Wilcoxon's test can have, after Holm's correction for ``pairs``.

    If one method is better on all M cells, the exact two-sided p-value is 2 / 2^M.
    """
    return min(1.0, pairs * 2.0 / 2.0**cells)


def cells_needed(pairs: int, level: float = LEVEL) -> int:
    """Return the number of cells from which on Wilcoxon's test with Holm's correction can find any difference."""
    cells = 1
    while not smallest_p_value(cells, pairs) < level:
        cells += 1
    return cells


def groups_without_difference(p_values: Array, level: float = LEVEL) -> list[tuple[int, ...]]:
    """Return the largest groups of methods of which no two differ (p >= ``level``), in order of their first method.

    A method may belong to several groups: A may be like B, and B like C, while A and C differ. These are the maximal
    cliques of the graph of pairs without a difference (Bron and Kerbosch, Communications of the ACM 16, 1973; with a
    pivot, as in Tomita et al. 2006, without which methods that are all alike take 2^K steps).
    """
    alike = [
        {other for other in range(len(p_values)) if other != method and not p_values[method, other] < level}
        for method in range(len(p_values))
    ]
    groups: list[tuple[int, ...]] = []

    def extend(group: set[int], candidates: set[int], done: set[int]) -> None:
        if not candidates and not done:
            groups.append(tuple(sorted(group)))
        pivot = max(candidates | done, key=lambda method: len(alike[method] & candidates), default=None)
        skipped = set() if pivot is None else alike[pivot]  # a larger group has the pivot, or one that is not like it
        for method in sorted(candidates - skipped):
            extend(group | {method}, candidates & alike[method], done & alike[method])
            candidates = candidates - {method}
            done = done | {method}

    extend(set(), set(range(len(p_values))), set())
    return sorted(groups)
