"""How often a table calls equal methods different, in settings drawn by chance.

    python benchmarks/false_alarms.py [--settings 150] [--trials 20000] [--seed 2026] [--rows 2] [--new-classes]

Each setting has 3 to 10 training seeds on either side, 100 to 1,000 shared episodes, a spread between seeds from none
to ten times that of the episodes' mean, up to 16 times more variance between the seeds of one side than of the other,
and episodes whose difficulty is shared; a third of the settings have accuracies over five queries, the others normal
scores. No constant was chosen on them. Printed, in percent of the trials: differences that the marks call significant
(``conservative_p_value``) at 5 % and, times three, at 5/3 % (what Holm's correction of three pairs asks first), and
those whose 95 % interval leaves out the truth. 20,000 trials of a test that is wrong in 5 % give 4.7 to 5.3 %.

With ``--rows N`` it measures the marks themselves (``may_be_best``): how often one of N equal rows, each with its own
number of seeds and its own spread, is called worse. That is one trial at a time: take 2,000.

With ``--new-classes`` classes have effects too, drawn again in every trial: 20 to 423 classes in 5-way episodes, their
difficulty (shared), a row's taste in classes and its seeds' own. The rows are equal over all classes that could have
been drawn, but not over these. The first columns are then those of verdicts on new classes, and a last one shows how
often the verdict on these classes would be a false alarm about new ones.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mamlbench.report.statistics.multiple_comparisons import may_be_best
from mamlbench.report.statistics.significance_tests import compare
from mamlbench.shared_classes import shared_classes
from mamlbench.student_t import LEVEL, Array

MOST_SCORES = 4_000_000
"""Scores that are held at a time."""
WAYS = 5


class ClassEffects(NamedTuple):
    """Standard deviations of what a class adds to the accuracy on its own queries."""

    classes: int
    difficulty: float
    """Shared by all rows."""
    taste: float
    """Of a row in a class, shared by its seeds."""
    seed_taste: float
    """Of a seed in a class."""


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
    class_effects: ClassEffects | None = None
    """None: episodes do not share classes."""


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


def draw_class_effects(generator: Generator) -> ClassEffects:
    """Draw how classes differ."""
    return ClassEffects(
        int(generator.choice([20, 50, 100, 423])),
        float(generator.choice([0.0, 0.1])),
        float(generator.choice([0.0, 0.05, 0.1, 0.2])),
        float(generator.choice([0.0, 0.05, 0.1])),
    )


def draw_classes(setting: Setting, generator: Generator) -> NDArray[np.int64]:
    """Draw the classes of every episode, ``[episodes, WAYS]``."""
    assert setting.class_effects is not None
    ranks = generator.random((setting.episodes, setting.class_effects.classes))
    return np.argsort(ranks, axis=-1)[:, :WAYS]


def in_episodes(deviation: float, shape: tuple[int, ...], classes: NDArray[np.int64], generator: Generator) -> Array:
    """Draw effects of classes, and return their means in every episode, ``[*shape, episodes]``."""
    effects = generator.normal(0, deviation, (*shape, int(classes.max()) + 1))
    means: Array = sum(effects[..., column] for column in classes.T) / classes.shape[-1]
    return means


def draw_scores(
    setting: Setting, trials: int, generator: Generator, classes: NDArray[np.int64] | None = None
) -> list[Array]:
    """Draw the scores of every row, ``[trials, seeds, episodes]`` each."""
    shared = generator.normal(0.6, setting.difficulty, (trials, 1, setting.episodes))
    effects = setting.class_effects
    if classes is not None and effects is not None:
        shared = shared + in_episodes(effects.difficulty, (trials, 1), classes, generator)
    rows = []
    for count, spread in zip(setting.counts, setting.spreads, strict=True):
        chance = (
            shared + generator.normal(0, setting.taste, shared.shape) + generator.normal(0, spread, (trials, count, 1))
        )
        if classes is not None and effects is not None:
            chance += in_episodes(effects.taste, (trials, 1), classes, generator)
            chance += in_episodes(effects.seed_taste, (trials, count), classes, generator)
        if setting.noise:
            rows.append(chance + generator.normal(0, setting.noise, chance.shape))
        else:
            rows.append(generator.binomial(5, np.clip(chance, 0, 1)) / 5)
    return rows


def chunks(setting: Setting, trials: int) -> list[int]:
    """Trials by trials at a time."""
    size = max(1, MOST_SCORES // (sum(setting.counts) * setting.episodes))
    return [min(size, trials - start) for start in range(0, trials, size)]


def pairs(setting: Setting, trials: int, generator: Generator) -> tuple[float, ...]:
    """Shares of significant differences at LEVEL and at a third of it (times three), and of intervals without 0.

    With effects of classes all of these are about new classes, and a fourth is the first about these classes.
    """
    alarms = np.zeros(4 if setting.class_effects else 3)
    for size in chunks(setting, trials):
        classes = draw_classes(setting, generator) if setting.class_effects else None
        scores = draw_scores(setting, size, generator, classes)
        comparison = compare(*scores, shared=None if classes is None else shared_classes(classes))
        low, high = comparison.confidence_interval()
        wrong = [
            comparison.conservative_p_value < LEVEL,
            3 * (comparison.conservative_p_value < LEVEL / 3),
            (low > 0) | (high < 0),
        ]
        if classes is not None:
            wrong.append(compare(*scores).conservative_p_value < LEVEL)
        alarms += [trial.sum() for trial in wrong]
    return tuple(alarms / trials)


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
    parser.add_argument("--new-classes", action="store_true")
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    results = []
    for _ in range(arguments.settings):
        setting = draw_setting(generator, arguments.rows)
        if arguments.new_classes:
            setting = setting._replace(class_effects=draw_class_effects(generator))
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
