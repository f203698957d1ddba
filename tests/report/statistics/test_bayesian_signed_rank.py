"""The Bayesian signed-rank test: its draws written out, and its symmetries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mamlbench.report.statistics.bayesian_signed_rank import signed_rank_posterior

DIFFERENCES = arrays(float, st.integers(1, 8), elements=st.integers(-6, 6).map(float))


@given(DIFFERENCES, st.sampled_from([0.0, 0.5, 2.0]))
def test_each_draw_is_won_by_the_largest_sum_of_products(differences, rope):
    z = [0.0, *differences]
    wins = {"worse": 0, "equivalent": 0, "better": 0}
    for weights in np.random.RandomState(0).dirichlet([0.5, *[1.0] * len(differences)], 20):
        theta = {"worse": 0.0, "equivalent": 0.0, "better": 0.0}
        for z_i, w_i in zip(z, weights, strict=True):
            for z_j, w_j in zip(z, weights, strict=True):
                half = (z_i + z_j) / 2
                for name, beyond in (("better", half), ("worse", -half)):
                    theta[name] += w_i * w_j * (1.0 if beyond > rope else 0.5 if beyond == rope else 0.0)
        theta["equivalent"] = 1 - theta["better"] - theta["worse"] if rope else 0.0
        largest = max(theta.values())
        if sum(value > largest - 1e-9 for value in theta.values()) > 1:
            return  # a tie that rounding decides
        wins[max(theta, key=theta.get)] += 1 / 20
    assert signed_rank_posterior(differences, rope, samples=20)._asdict() == pytest.approx(wins)


@given(DIFFERENCES)
def test_the_probabilities_add_up_to_one(differences):
    assert sum(signed_rank_posterior(differences, 1.0, samples=50)) == pytest.approx(1)


def test_clear_differences_are_clear():
    better = signed_rank_posterior(np.full(10, 5.0), 1.0, samples=2000)
    worse = signed_rank_posterior(np.full(10, -5.0), 1.0, samples=2000)
    equal = signed_rank_posterior(np.linspace(-0.5, 0.5, 10), 1.0, samples=2000)
    assert better.better > 0.99 and worse.worse > 0.99 and equal.equivalent > 0.99
    assert signed_rank_posterior(np.arange(-4.0, 5.0), 0.0, samples=2000).better == pytest.approx(0.5, abs=0.05)
