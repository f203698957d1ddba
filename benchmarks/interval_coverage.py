"""How often the 95 % interval of a difference between two algorithms covers the truth, from few to many seeds.

    python benchmarks/interval_coverage.py [--trials 100000]

Balanced scores are normal: seeds differ by SEEDS, an algorithm's taste in episodes by TASTE, one seed in one episode
by NOISE (0.22: the spread of an accuracy over five queries at 60 %). Their mean squares are then independent
chi-squares, so that they are drawn directly. Printed: coverage in per cent, for each side with a spread of its own
(the tables) and for one spread of both (the gate).
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.random import Generator
from scipy import stats

from mamlbench.report.statistics import Array, Spread, error_over_seeds

NOISE = 0.22
COUNTS = ((3, 3), (4, 4), (6, 6), (10, 10), (1, 5), (1, 10), (3, 6))
SETTINGS = (  # episodes, spread of the seeds on either side, taste
    (150, 0, 0, 0.05), (150, 0.01, 0.01, 0.05), (150, 0.02, 0.02, 0.05), (150, 0.05, 0.05, 0.05),
    (600, 0, 0, 0.05), (600, 0.01, 0.01, 0.05), (600, 0.02, 0.02, 0.05), (1000, 0.01, 0.01, 0.1),
    (150, 0, 0, 0.2), (150, 0.01, 0.01, 0.2), (150, 0, 0, 0), (600, 0.01, 0.01, 0),
    (150, 0, 0.02, 0.05), (150, 0, 0.05, 0.05), (600, 0.005, 0.03, 0.05), (600, 0, 0.02, 0.05),
)  # fmt: skip


def mean_square(variance: float, freedom: int, trials: int, generator: Generator) -> Array:
    """Draw ``[trials]`` estimates of a variance."""
    drawn: Array = variance * generator.chisquare(freedom, trials) / freedom
    return drawn


def coverage(
    counts: tuple[int, int], episodes: int, seeds: tuple[float, float], taste: float, *,
    same_spread: bool, trials: int, generator: Generator,
) -> float:  # fmt: skip
    """Share of the trials in which the interval covers the true difference, 0."""
    spreads = [
        Spread(
            mean_square(spread**2 + NOISE**2 / episodes, count - 1, trials, generator),
            mean_square(NOISE**2, (count - 1) * (episodes - 1), trials, generator),
            1 / count, count - 1,
        ) if count > 1 else Spread(np.zeros(trials), np.zeros(trials), 1.0, 0)
        for count, spread in zip(counts, seeds, strict=True)
    ]  # fmt: skip
    in_episodes = (2 * taste**2 + sum(NOISE**2 / count for count in counts)) / episodes
    true = in_episodes + sum(spread**2 / count for count, spread in zip(counts, seeds, strict=True))
    between = mean_square(in_episodes, episodes - 1, trials, generator)
    variance, freedom = error_over_seeds([Spread.pooled(*spreads)] if same_spread else spreads, between, episodes)
    difference = generator.normal(0, np.sqrt(true), trials)
    return float(np.mean(np.abs(difference) < stats.t.ppf(0.975, freedom) * np.sqrt(variance)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    trials = parser.parse_args().trials
    generator = np.random.default_rng(0)
    print("seeds  episodes  spread of seeds  taste  own spreads  one spread")
    for counts in COUNTS:
        for episodes, *seeds, taste in SETTINGS:
            found = [
                100 * coverage(counts, episodes, (seeds[0], seeds[1]), taste, same_spread=same, trials=trials,
                               generator=generator)
                if (min(counts) > 2 if not same else seeds[0] == seeds[1]) else float("nan")
                for same in (False, True)
            ]  # fmt: skip
            print(
                f"{counts[0]:2}+{counts[1]:<2}  {episodes:8}  {seeds[0]:7} {seeds[1]:7}  {taste:5}  "
                f"{found[0]:11.1f}  {found[1]:10.1f}"
            )


if __name__ == "__main__":
    main()
