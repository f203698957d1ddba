"""Holm's correction and comparisons with the best row: by hand, and in a thousand simulated trials."""

import numpy as np
import pytest

from mamlbench.report.statistics.multiple_comparisons import holm, may_be_best
from mamlbench.student_t import LEVEL


def test_holm_by_hand():
    # m = 4: 0.005 x 4, 0.01 x 3, then 0.03 x 2 = 0.06, which 0.04 x 1 may not fall below
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.5], family_size=6) == pytest.approx([0.06, 1.0])
    assert holm([[0.04, 0.01], [0.5, 0.9]]) == pytest.approx(np.array([[0.04, 0.02], [1.0, 1.0]]))


@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (3, 3, 3, 3), (3, 3, 10, 10)], ids=str)
def test_the_family_wise_error_rate_of_four_equal_rows_is_at_most_five_percent(simulate, difficulty, counts):
    generator = np.random.default_rng(9)
    shared = difficulty(generator, trials=1000)
    spreads = [0.09 / seeds if seeds > 1 else 0.0 for seeds in counts]
    rows = [
        simulate(generator, seeds, shared, seed_spread=spread, trials=1000)
        for seeds, spread in zip(counts, spreads, strict=True)
    ]
    trials = zip(*rows, strict=True)
    wrong = [not all(may_be_best(list(trial), higher_is_better=True)) for trial in trials]
    assert np.mean(wrong) <= LEVEL + 0.012


def test_the_best_row_and_those_not_significantly_worse(simulate, difficulty):
    generator = np.random.default_rng(10)
    shared = difficulty(generator, trials=1)
    rows = [simulate(generator, 3, shared, trials=1, skill=skill)[0] for skill in (0.80, 0.60, 0.80)]
    assert may_be_best(rows, higher_is_better=True) == [True, False, True]
    assert may_be_best(rows, higher_is_better=False) == [False, True, False]
    assert may_be_best(rows[:1], higher_is_better=True) == [True]
