"""How often the bootstrap's 95 % interval of an interquartile mean covers the truth, by number of cells and of runs.

Its percentiles (rliable's interval) and the interval expanded for few runs and cells (the report's).

    python benchmarks/across_coverage.py [--trials 1000]

Each trial draws the mean of each cell uniformly from 0.4 to 0.9, and runs around it that are normal with a standard
deviation of 0.02. Printed, in percent: how often the interval for new runs covers the interquartile mean of infinitely
many runs on the same cells, and how often the interval for new cells covers that of infinitely many cells (0.65).
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from mamlbench.report.statistics.score_aggregates import (
    bootstrap_values,
    expanded_tail,
    interquartile_mean,
    percentile_interval,
)
from mamlbench.student_t import Array

SPREAD, LOWEST, HIGHEST = 0.02, 0.4, 0.9
CELLS, RUNS, RESAMPLES = (5, 8, 20), (3, 5, 10, 20), 1000
QUANTILES = SPREAD * stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
"""Stand for infinitely many runs of a cell."""


def covered(cells: int, runs: int, trials: int) -> Array:
    """Return the shares of trials in which percentiles and expanded interval cover: for new runs, for new cells."""
    generator = np.random.default_rng(0)
    tails = expanded_tail(runs, cells * (runs - 1) / 2), expanded_tail(cells, cells - 1)
    hits = np.zeros((2, 2))
    for trial in range(trials):
        means = generator.uniform(LOWEST, HIGHEST, cells)
        scores = generator.normal(means, SPREAD, (runs, cells))
        truths = float(interquartile_mean(means + QUANTILES[:, None])), (LOWEST + HIGHEST) / 2
        for kind, truth in enumerate(truths):
            settings = {"resamples": RESAMPLES, "new_cells": kind == 1, "seed": trial}
            values = bootstrap_values(interquartile_mean, scores, **settings)
            intervals = percentile_interval(values), percentile_interval(values, tails[kind])
            hits[kind] += [low <= truth <= high for low, high in intervals]
    return hits / trials


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    print("cells  runs  new runs  expanded  new cells  expanded")
    for cells in CELLS:
        for runs in RUNS:
            (runs_percentiles, runs_expanded), (cells_percentiles, cells_expanded) = 100 * covered(cells, runs, trials)
            row = f"{runs_percentiles:8.1f}  {runs_expanded:8.1f}  {cells_percentiles:9.1f}  {cells_expanded:8.1f}"
            print(f"{cells:5}  {runs:4}  {row}", flush=True)


if __name__ == "__main__":
    main()
