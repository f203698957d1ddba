"""Compute what rliable, scipy, scikit-posthocs and baycomp get on their own examples; compare with what is committed.

``tests/report/statistics/across_reference.json`` holds their inputs (of their tests and documentation) and the numbers
that they compute from them; ``tests/report/statistics/test_across_reference.py`` holds mamlbench to those numbers. This
script computes them again where the packages are installed (in an environment of their own: rliable needs pandas < 3):

    pip install rliable==1.2.0 'pandas<3' scikit-posthocs==0.17.1 baycomp==1.0.3
    python benchmarks/across_reference.py            # compare with the committed numbers
    python benchmarks/across_reference.py --write    # write them

Bootstrap and posterior are random: each is seeded, so that an equal order of draws gives equal numbers.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parents[1] / "tests" / "report" / "statistics" / "across_reference.json"
PACKAGES = ("rliable", "arch", "scipy", "scikit-posthocs", "baycomp", "numpy")
RESAMPLES, SEED, SAMPLES = 500, 0, 5_000


def rliable_values(inputs: dict[str, Any]) -> dict[str, Any]:
    """Aggregate scores ``[runs, tasks]``, and their bootstrap intervals with and without drawing tasks."""
    from rliable import library, metrics

    x, y, taus = (np.array(inputs[name], float) for name in ("x", "y", "thresholds"))

    def interval(scores: Any, statistic: Any, **settings: Any) -> list[Any]:
        np.random.seed(SEED)  # rliable draws from NumPy's global generator
        _, intervals = library.get_interval_estimates({"it": scores}, statistic, reps=RESAMPLES, **settings)
        return intervals["it"].tolist()

    def iqm(scores: Any) -> Any:
        return np.array([metrics.aggregate_iqm(scores)])

    def profile(scores: Any) -> Any:
        return library.score_distributions(scores, taus)

    return {
        "interquartile_mean": [metrics.aggregate_iqm(x), metrics.aggregate_iqm(y)],
        "interval": interval(x, iqm),
        "interval_new_cells": interval(x, iqm, task_bootstrap=True),
        "profile": profile(x).tolist(),
        "profile_interval": interval(x, profile),
        "improvement": metrics.probability_of_improvement(x, y),
        "improvement_interval": interval([x, y], metrics.probability_of_improvement),
    }


def rank_values(inputs: dict[str, Any]) -> dict[str, Any]:
    """Friedman's test by scipy, p-values of pairs by scikit-posthocs, of scores ``[blocks, groups]``."""
    import scikit_posthocs
    from scipy import stats

    scores = np.array(inputs["scores"], float)
    friedman = stats.friedmanchisquare(*scores.T)
    return {
        "mean_ranks": stats.rankdata(-scores, axis=1).mean(0).tolist(),
        "friedman": [friedman.statistic, friedman.pvalue],
        "nemenyi": scikit_posthocs.posthoc_nemenyi_friedman(scores).to_numpy().tolist(),
        "wilcoxon": scikit_posthocs.posthoc_wilcoxon(list(scores.T)).to_numpy().tolist(),
        "wilcoxon_holm": scikit_posthocs.posthoc_wilcoxon(list(scores.T), p_adjust="holm").to_numpy().tolist(),
    }


def baycomp_values(inputs: dict[str, Any]) -> dict[str, Any]:
    """Posterior of Bayesian signed-rank tests: left, ROPE (0 without one), right."""
    from baycomp import SignedRankTest

    x, y = (np.array(inputs[name], float) for name in ("x", "y"))

    def posterior(rope: float) -> list[float]:
        left, *equivalent, right = SignedRankTest.probs(x, y, rope, nsamples=SAMPLES, random_state=SEED)
        return [left, *(equivalent or [0.0]), right]

    return {"posterior": {str(rope): posterior(rope) for rope in inputs["ropes"]}}


COMPUTE = {"rliable": rliable_values, "ranks": rank_values, "baycomp": baycomp_values}


def largest_difference(first: Any, second: Any) -> float:
    """Return the largest absolute difference of two nested values of equal shape."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), (first.keys(), second.keys())
        return max(largest_difference(first[name], second[name]) for name in first)
    return float(np.max(np.abs(np.array(first, float) - np.array(second, float))))


def main() -> None:
    """Compare with the file, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the computed numbers")
    write = parser.parse_args().write
    content = json.loads(FILE.read_text(encoding="utf-8"))
    for example in content["examples"]:
        values = COMPUTE[example["kind"]](example["inputs"])
        if not write:
            print(f"{example['name']}: largest difference {largest_difference(values, example['values']):.1e}")
        example["values"] = values
    if write:
        content |= {"resamples": RESAMPLES, "seed": SEED, "samples": SAMPLES}
        content["made_with"] = {name: version(name) for name in PACKAGES}
        examples = ",\n".join(map(json.dumps, content.pop("examples")))  # one per line
        head = json.dumps(content)[:-1]
        FILE.write_text(f'{head}, "examples": [\n{examples}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
