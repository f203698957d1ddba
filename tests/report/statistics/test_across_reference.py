"""Statistics across cells equal those of rliable, scipy, scikit-posthocs and baycomp on their own examples.

benchmarks/across_reference.py computes their numbers and wrote the file; with the same seed and order of draws.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mamlbench.report.statistics import mean_ranks
from mamlbench.report.statistics.bayesian_signed_rank import signed_rank_posterior
from mamlbench.report.statistics.score_aggregates import (
    bootstrap_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

REFERENCE = json.loads((Path(__file__).parent / "across_reference.json").read_text(encoding="utf-8"))
same = partial(np.testing.assert_allclose, rtol=0, atol=1e-6)


def examples(kind):
    matching = [example for example in REFERENCE["examples"] if example["kind"] == kind]
    return [pytest.param(example["inputs"], example["values"], id=example["name"]) for example in matching]


@pytest.mark.parametrize(("inputs", "values"), examples("rliable"))
def test_aggregates_are_those_of_rliable(inputs, values):
    x, y, thresholds = (np.array(inputs[name], float) for name in ("x", "y", "thresholds"))
    profile = partial(performance_profile, thresholds=thresholds)
    interval = partial(bootstrap_interval, resamples=REFERENCE["resamples"], seed=REFERENCE["seed"])
    same([interquartile_mean(x), interquartile_mean(y)], values["interquartile_mean"])
    same(interval(interquartile_mean, x), np.ravel(values["interval"]))
    same(interval(interquartile_mean, x, new_cells=True), np.ravel(values["interval_new_cells"]))
    same(profile(x), values["profile"])
    same(interval(profile, x), values["profile_interval"])
    same(probability_of_improvement(x, y), values["improvement"])
    same(interval(probability_of_improvement, x, y), np.ravel(values["improvement_interval"]))


@pytest.mark.parametrize(("inputs", "values"), examples("ranks"))
def test_ranks_are_those_of_scipy_and_scikit_posthocs(inputs, values):
    scores = np.array(inputs["scores"], float)
    friedman = mean_ranks.friedman(scores)
    wilcoxon = mean_ranks.wilcoxon_p_values(scores)
    same(mean_ranks.ranks_of(scores).mean(0), values["mean_ranks"])
    same([friedman.chi_squared, friedman.p_value], values["friedman"])
    same(mean_ranks.nemenyi_p_values(scores), values["nemenyi"])
    same(wilcoxon, values["wilcoxon"])
    same(mean_ranks.holm_of_pairs(wilcoxon), values["wilcoxon_holm"])


@pytest.mark.parametrize(("inputs", "values"), examples("baycomp"))
def test_posteriors_are_those_of_baycomp(inputs, values):
    x, y = (np.array(inputs[name], float) for name in ("x", "y"))
    for rope, expected in values["posterior"].items():
        posterior = signed_rank_posterior(y - x, float(rope), samples=REFERENCE["samples"], seed=REFERENCE["seed"])
        same(posterior, expected)


def test_every_package_has_an_example():
    assert {example["kind"] for example in REFERENCE["examples"]} == {"rliable", "ranks", "baycomp"}
    assert REFERENCE["made_with"].keys() >= {"rliable", "scipy", "scikit-posthocs", "baycomp"}
