"""Intervals of test scores."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.runner.evaluate import episode_interval

scores = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50).filter(lambda values: len(set(values)) > 1)


@given(scores)
def test_the_interval_is_that_of_a_t_test(values):
    computed = episode_interval(torch.tensor(values))
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (computed.low, computed.high) == (low, high)
    assert computed.mean == pytest.approx(sum(values) / len(values))


def test_the_interval_of_equal_scores_is_a_point():
    computed = episode_interval(torch.full((3,), 0.25))
    assert (computed.low, computed.mean, computed.high) == (0.25, 0.25, 0.25)


def test_a_run_imports_nothing_that_takes_a_second_for_one_function():
    code = "import sys, mamlbench.runner.execute; print([n for n in ('scipy.stats', 'pandas') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
