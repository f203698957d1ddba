"""Ranks over cells: the papers' formulas and what small studies cannot show."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mamlbench.report.statistics.mean_ranks import (
    cells_needed,
    critical_difference,
    friedman,
    groups_without_difference,
    holm_of_pairs,
    nemenyi_p_values,
    ranks_of,
    smallest_p_value,
    wilcoxon_p_values,
)

DEMSAR = np.array(  # Demsar (2006), table 6: AUC of four variants of C4.5 on 14 data sets
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_the_example_of_demsar():
    """The paper's mean ranks and critical differences. Its 9.28 and 3.69 are not corrected for the row of ties."""
    mean_ranks = ranks_of(DEMSAR).mean(0)
    assert mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert 12 * 14 / (4 * 5) * ((mean_ranks**2).sum() - 4 * 5**2 / 4) == pytest.approx(9.28, abs=0.005)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, level=0.10) == pytest.approx(1.12, abs=0.005)
    result = friedman(DEMSAR)
    assert result.chi_squared == pytest.approx(10.228, abs=5e-4)
    assert result.f_statistic == pytest.approx(13 * 10.228 / (14 * 3 - 10.228), abs=5e-4)
    assert result.f_p_value < result.p_value < 0.05


def test_agreement_of_all_cells_and_equal_scores_are_the_ends():
    agree = np.tile([0.1, 0.2, 0.3], (6, 1))
    assert friedman(agree)[:1] + friedman(agree)[2:] == (pytest.approx(12), np.inf, 0.0)
    assert friedman(np.ones((6, 3))) == (0.0, 1.0, 0.0, 1.0)
    assert (wilcoxon_p_values(np.ones((6, 3))) == 1).all()
    with pytest.raises(ValueError, match="three or more methods, not 2"):
        friedman(np.ones((6, 2)))


@pytest.mark.parametrize(("cells", "methods"), [(5, 2), (6, 2), (7, 3), (8, 4), (7, 4)])
def test_the_smallest_p_value_is_that_of_a_method_which_always_wins(cells, methods):
    scores = np.arange(methods) + np.linspace(0, 0.01, cells)[:, None] * np.arange(methods)
    p_values = holm_of_pairs(wilcoxon_p_values(scores))
    pairs = methods * (methods - 1) // 2
    assert p_values[0, 1] == pytest.approx(smallest_p_value(cells, pairs))
    assert (cells >= cells_needed(pairs)) == (p_values[0, 1] < 0.05)


@given(
    st.tuples(st.integers(2, 8), st.integers(3, 5)).flatmap(
        lambda shape: arrays(float, shape, elements=st.integers(0, 5).map(float))
    )
)
def test_p_values_do_not_depend_on_the_order_of_methods(scores):
    order = np.arange(scores.shape[1])[::-1]
    for p_values in (nemenyi_p_values, lambda scores: holm_of_pairs(wilcoxon_p_values(scores))):
        straight, reverse = p_values(scores), p_values(scores[:, order])
        assert straight == pytest.approx(reverse[np.ix_(order, order)])
        assert straight == pytest.approx(straight.T) and (np.diag(straight) == 1).all()
        assert ((straight >= 0) & (straight <= 1)).all()


def test_groups_may_overlap():
    p_values = np.ones((4, 4))
    for i, j in ((0, 2), (0, 3), (1, 3)):
        p_values[i, j] = p_values[j, i] = 0.01
    assert groups_without_difference(p_values) == [(0, 1), (1, 2), (2, 3)]
    assert groups_without_difference(np.ones((3, 3))) == [(0, 1, 2)]
    assert groups_without_difference(np.eye(3)) == [(0,), (1,), (2,)]


@given(arrays(bool, (6, 6), elements=st.booleans()))
def test_groups_are_all_maximal_cliques(differ):
    p_values = np.where(differ | differ.T, 0.01, 1.0)
    groups = groups_without_difference(p_values)

    def alike(group):
        return all(p_values[i, j] == 1.0 for i, j in combinations(group, 2))

    subsets = [set(group) for size in range(1, 7) for group in combinations(range(6), size) if alike(group)]
    maximal = [group for group in subsets if not any(group < other for other in subsets)]
    assert sorted(map(sorted, maximal)) == sorted(map(list, groups))


def test_many_methods_that_are_all_alike_are_one_group():
    """Without a pivot this takes 2^60 steps."""
    assert groups_without_difference(np.ones((60, 60))) == [tuple(range(60))]


@given(st.integers(0, 2**21 - 1))
def test_groups_are_the_maximal_cliques(bits):
    p_values = np.ones((7, 7))
    pairs = [*combinations(range(7), 2)]
    for index, (i, j) in enumerate(pairs):
        p_values[i, j] = p_values[j, i] = bits >> index & 1
    cliques = [
        set(group)
        for size in range(1, 8)
        for group in combinations(range(7), size)
        if all(p_values[i, j] for i, j in combinations(group, 2))
    ]
    maximal = sorted(tuple(sorted(c)) for c in cliques if not any(c < other for other in cliques))
    assert groups_without_difference(p_values) == maximal
