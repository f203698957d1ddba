"""How often a table calls equal methods different, in settings drawn by chance.

    python benchmarks/false_alarms.py [--settings 150] [--trials 20000] [--seed 2026] [--rows 2]

Each setting has 3 to 10 training seeds on either side, 100 to 1,000 shared episodes, a spread between seeds from none
to ten times that of the episodes' mean, up to 16 times more variance between the seeds of one side than of the other,
and episodes whose difficulty is shared; a third of the settings have accuracies over five queries, the others normal
scores. No constant was chosen on them. Printed, in percent of the trials: differences that the marks call significant
(``conservative_p_value``) at 5 % and, times three, at 5/3 % (what Holm's correction of three pairs asks first), and
those whose 95 % interval leaves out the truth. 20,000 trials of a test that is wrong in 5 % give 4.7 to 5.3 %.

With ``--rows N`` it measures the marks themselves (``may_be_best``): how often one of N equal rows, each with its own
number of seeds and its own spread, is called worse. That is one trial at a time: take 2,000.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from mamlbench.report.statistics.multiple_comparisons import may_be_best
from mamlbench.report.statistics.significance_tests import compare
from mamlbench.student_t import LEVEL, Array

MOST_SCORES = 4_000_000
"""Scores that are held at a time."""


class Setting(NamedTuple):
    """What is true of rows that are equal in their mean."""

    counts: list[int]
    """Seeds of each row."""
    spreads: list[float]
    """Standard deviation between the seeds of each row."""
    episodes: int
    difficulty: float
    """Standard deviation between episodes, shared by all rows."""
    taste: float
    """Of a row in an episode, shared by its seeds."""
    noise: float
    """Of a seed in an episode; 0 if scores are shares of five right answers."""


def draw_setting(generator: Generator, rows: int) -> Setting:
    """Draw one setting."""
    episodes = int(np.exp(generator.uniform(np.log(100), np.log(1000))))
    noise = generator.choice([0.0, 0.1, 0.22])
    of_mean = 0.22 / np.sqrt(episodes)
    spread = generator.choice([0.0, of_mean * np.exp(generator.uniform(np.log(0.1), np.log(10)))], p=[0.1, 0.9])
    ratios = np.sqrt(np.exp(generator.uniform(0, np.log(16), rows)))
    return Setting(
        generator.integers(3, 11, rows).tolist(),
        (spread * ratios / ratios.max()).tolist(),
        episodes,
        generator.uniform(0, 0.15),
        generator.choice([0.0, 0.05, 0.1]),
        float(noise),
    )


def draw_scores(setting: Setting, trials: int, generator: Generator) -> list[Array]:
    """Draw the scores of every row, ``[trials, seeds, episodes]`` each."""
    shared = generator.normal(0.6, setting.difficulty, (trials, 1, setting.episodes))
    rows = []
    for count, spread in zip(setting.counts, setting.spreads, strict=True):
        chance = (
            shared + generator.normal(0, setting.taste, shared.shape) + generator.normal(0, spread, (trials, count, 1))
        )
        if setting.noise:
            rows.append(chance + generator.normal(0, setting.noise, chance.shape))
        else:
            rows.append(generator.binomial(5, np.clip(chance, 0, 1)) / 5)
    return rows


def chunks(setting: Setting, trials: int) -> list[int]:
    """Trials by trials at a time."""
    size = max(1, MOST_SCORES // (sum(setting.counts) * setting.episodes))
    return [min(size, trials - start) for start in range(0, trials, size)]


def pairs(setting: Setting, trials: int, generator: Generator) -> tuple[float, float, float]:
    """Shares of significant differences at LEVEL and at a third of it (times three), and of intervals without 0."""
    alarms = np.zeros(3)
    for size in chunks(setting, trials):
        comparison = compare(*draw_scores(setting, size, generator))
        low, high = comparison.confidence_interval()
        wrong = [
            comparison.conservative_p_value < LEVEL,
            comparison.conservative_p_value < LEVEL / 3,
            (low > 0) | (high < 0),
        ]
        alarms += [trial.sum() for trial in wrong]
    return alarms[0] / trials, 3 * alarms[1] / trials, alarms[2] / trials


def tables(setting: Setting, trials: int, generator: Generator) -> float:
    """Share of the tables in which some row is called worse than the best."""
    wrong = 0
    for size in chunks(setting, trials):
        for rows in zip(*draw_scores(setting, size, generator), strict=True):
            wrong += not all(may_be_best(list(rows), higher_is_better=True))
    return wrong / trials


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=150)
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--rows", type=int, default=2)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    results = []
    for _ in range(arguments.settings):
        setting = draw_setting(generator, arguments.rows)
        if arguments.rows == 2:
            results.append(pairs(setting, arguments.trials, generator))
        else:
            results.append((tables(setting, arguments.trials, generator),))
        print(*(f"{100 * share:5.2f}" for share in results[-1]), *setting, flush=True)
    print("least", *(f"{100 * share:5.2f}" for share in np.min(results, axis=0)))
    print("mean ", *(f"{100 * share:5.2f}" for share in np.mean(results, axis=0)))
    print("most ", *(f"{100 * share:5.2f}" for share in np.max(results, axis=0)))


if __name__ == "__main__":
    main()
