"""The expected best of n trials, against its definition and against simulated searches."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.report.statistics.best_of_n import expected_best

scores = st.floats(-1e6, 1e6)


@given(scores, st.lists(scores, max_size=7), st.booleans())
def test_it_is_the_mean_over_all_subsets(first, drawn, higher):
    result = expected_best(first, drawn, higher_is_better=higher)
    best = max if higher else min
    for n in range(1, len(drawn) + 2):
        every = [best([first, *subset]) for subset in combinations(drawn, n - 1)]
        assert result.mean[n - 1] == pytest.approx(np.mean(every), rel=1e-9, abs=1e-6)
        assert result.deviation[n - 1] == pytest.approx(np.std(every), rel=1e-6, abs=1e-3)


@given(scores, st.lists(scores, max_size=12))
def test_it_never_falls_and_ends_at_the_best(first, drawn):
    mean = expected_best(first, drawn).mean
    assert len(mean) == len(drawn) + 1 and mean[0] == first
    assert (np.diff(mean) >= -1e-6 * (1 + np.abs(mean[1:]))).all()
    assert mean[-1] == pytest.approx(max(first, *drawn) if drawn else first)


@given(scores, st.lists(scores, max_size=8), st.randoms())
def test_the_order_of_trials_does_not_matter(first, drawn, random):
    shuffled = random.sample(drawn, len(drawn))
    assert expected_best(first, drawn).mean == pytest.approx(expected_best(first, shuffled).mean)


def test_it_is_unbiased():
    """Of 4,000 searches of ten trials, the mean estimate of the best of four is the best of four draws."""
    generator = np.random.default_rng(0)
    estimates = [expected_best(0.5, generator.uniform(size=9)).mean[3] for _ in range(4000)]
    truth = np.maximum(0.5, generator.uniform(size=(200_000, 3)).max(1)).mean()  # the default and three draws
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth) < 4 * error < 0.01


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        expected_best(0.5, [0.1, float("nan")])
    with pytest.raises(ValueError, match="finite"):
        expected_best(float("inf"), [])
