"""Comparing the mean ranks of methods: which of them differ, and what the tests cannot find (Demsar 2006)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np

from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.table_parts import plural
from mamlbench.report.statistics import mean_ranks
from mamlbench.report.statistics.mean_ranks import Friedman
from mamlbench.student_t import LEVEL, Array

MIN_CELLS_FOR_TESTS = 5
"""With five cells or fewer, the p-value of Wilcoxon's test is never below 5 %; with fewer, no test means much."""


@dataclass(frozen=True)
class RankTests:
    """Tests of K methods over M cells."""

    friedman: Friedman | None
    """None for two methods."""
    wilcoxon: Array
    """p-value of each pair after Holm's correction ``[K, K]``."""
    nemenyi: Array
    """p-value of each pair by Nemenyi's test ``[K, K]``."""
    critical_difference: float
    """Nemenyi's, of mean ranks."""

    @property
    def finds_a_difference(self) -> bool:
        """Whether pairs may be compared: the test of all methods rejects that they rank alike, or there are two."""
        return self.friedman is None or self.friedman.f_p_value < LEVEL

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The largest groups of methods without a significant difference; one group of all if Friedman's test has none.

        A method that differs from all others is a group of its own.
        """
        if not self.finds_a_difference:
            return [tuple(range(len(self.wilcoxon)))]
        return mean_ranks.groups_without_difference(self.wilcoxon)

    @property
    def letters(self) -> list[str]:
        """The letters of each method's groups: methods that share one do not differ significantly."""
        names = [_letter(index) for index in range(len(self.groups))]
        return [
            "".join(name for name, group in zip(names, self.groups, strict=True) if method in group)
            for method in range(len(self.wilcoxon))
        ]


def _letter(index: int) -> str:
    """Return a, b, .. z, then a2, b2 and so on."""
    round_, position = divmod(index, len(ascii_lowercase))
    return ascii_lowercase[position] + (str(round_ + 1) if round_ else "")


def rank_tests(scores: AcrossScores) -> RankTests | None:
    """Test whether methods differ in their mean ranks; None with fewer than five cells."""
    cells, methods = scores.means.shape
    if cells < MIN_CELLS_FOR_TESTS:
        return None
    means = scores.means
    return RankTests(
        mean_ranks.friedman(means) if methods >= mean_ranks.MIN_METHODS_FOR_FRIEDMAN else None,
        mean_ranks.holm_of_pairs(mean_ranks.wilcoxon_p_values(means)),
        mean_ranks.nemenyi_p_values(means),
        mean_ranks.critical_difference(methods, cells),
    )


def too_few_cells(scores: AcrossScores) -> bool:
    """Return whether Wilcoxon's test with Holm's correction cannot find any difference, however large."""
    cells, methods = scores.means.shape
    return not mean_ranks.smallest_p_value(cells, methods * (methods - 1) // 2) < LEVEL


def rank_remarks(scores: AcrossScores, tests: RankTests | None) -> Iterator[str]:
    """Say what was tested, and what the number of cells and methods does not allow."""
    cells, methods = scores.means.shape
    if tests is None:
        yield (
            f"No test of ranks: that takes {MIN_CELLS_FOR_TESTS} or more cells, and these are {cells}. Add data sets "
            "or protocols."
        )
        return
    yield _about_friedman(tests)
    if too_few_cells(scores):
        pairs = methods * (methods - 1) // 2
        smallest = mean_ranks.smallest_p_value(cells, pairs)
        yield (
            f"Wilcoxon's test cannot find a difference here: with {cells} cells its smallest p-value is "
            f"{2 / 2**cells:.3g}, after Holm's correction for {plural(pairs, 'pair')} {smallest:.3g}. It takes "
            f"{mean_ranks.cells_needed(pairs)} cells, or fewer methods."
        )
    yield from dependent_cells(scores)


def _about_friedman(tests: RankTests) -> str:
    if tests.friedman is None:
        return "Friedman's test compares three or more methods; two are compared by Wilcoxon's signed-rank test alone."
    chi_squared, p_value, f_statistic, f_p_value = tests.friedman
    test = f"Friedman's test that all methods rank alike: chi-squared {chi_squared:.3g}, p = {p_value:.2g}; "
    if np.isinf(f_statistic):
        return f"{test}every cell ranks them in the same order."
    text = f"{test}Iman and Davenport's F {f_statistic:.3g}, p = {f_p_value:.2g}."
    return (
        text if tests.finds_a_difference else f"{text} It is not rejected, so no pair of methods is called different."
    )


def dependent_cells(scores: AcrossScores) -> Iterator[str]:
    """Warn if several cells are of one data set."""
    if len(scores.datasets) < len(scores.cells):
        yield (
            f"The {plural(len(scores.cells), 'cell')} are of {plural(len(scores.datasets), 'data set')}. Tests take "
            "cells as independent, which those of one data set are not: they find differences too easily."
        )


def wins(scores: AcrossScores) -> Array:
    """Count the cells on which each method is better than each other one ``[K, K]``."""
    means = scores.means
    better: Array = (means[:, :, None] > means[:, None, :]).sum(0)
    return np.asarray(better)
