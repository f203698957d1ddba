"""How often the 95 % interval of a difference between two methods covers the truth, from few to many seeds.

    python benchmarks/interval_coverage.py [--trials 100000] [--fresh 0]

Balanced scores are normal: seeds differ by SEEDS, a method's taste in episodes by TASTE, one seed in one episode
by NOISE (0.22: the spread of an accuracy over five queries at 60 %). Their mean squares are then independent
chi-squares, so that they are drawn directly. Printed, in percent: coverage for each side with a spread of its own and
for one spread of both (the gate), and how often the first calls equal methods different, as the tables' marks do
(the test of Cochran and Cox). With ``--fresh N`` the settings are not those on which the interval's constants were
chosen, but N drawn by chance, as benchmarks/false_alarms.py draws them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from false_alarms import draw_setting
from numpy.random import Generator

from mamlbench.report.statistics.cochran_cox import least_significant_difference
from mamlbench.report.statistics.variance import VarianceComponents, variance_of_difference
from mamlbench.student_t import LEVEL, Array, t_quantile

NOISE = 0.22
COUNTS = ((3, 3), (4, 4), (6, 6), (10, 10), (1, 5), (1, 10), (3, 6))
SETTINGS = (  # episodes, spread of the seeds on either side, taste
    (150, 0, 0, 0.05),
    (150, 0.01, 0.01, 0.05),
    (150, 0.02, 0.02, 0.05),
    (150, 0.05, 0.05, 0.05),
    (600, 0, 0, 0.05),
    (600, 0.01, 0.01, 0.05),
    (600, 0.02, 0.02, 0.05),
    (1000, 0.01, 0.01, 0.1),
    (150, 0, 0, 0.2),
    (150, 0.01, 0.01, 0.2),
    (150, 0, 0, 0),
    (600, 0.01, 0.01, 0),
    (150, 0, 0.02, 0.05),
    (150, 0, 0.05, 0.05),
    (600, 0.005, 0.03, 0.05),
    (600, 0, 0.02, 0.05),
)


def mean_square(variance: float, freedom: int, trials: int, generator: Generator) -> Array:
    """Draw ``[trials]`` estimates of a variance."""
    drawn: Array = variance * generator.chisquare(freedom, trials) / freedom
    return drawn


def shares(
    counts: Sequence[int],
    episodes: int,
    seeds: Sequence[float],
    taste: float,
    *,
    same_spread: bool,
    trials: int,
    generator: Generator,
    noise: float = NOISE,
) -> tuple[float, float]:
    """Shares of the trials in which the interval covers the true difference, 0, and in which 0 is called different."""
    spreads = [
        VarianceComponents(
            mean_square(spread**2 + noise**2 / episodes, count - 1, trials, generator),
            mean_square(noise**2, (count - 1) * (episodes - 1), trials, generator) / episodes,
            1 / count,
            count - 1,
        )
        if count > 1
        else VarianceComponents(np.zeros(trials), np.zeros(trials), 1.0, 0)
        for count, spread in zip(counts, seeds, strict=True)
    ]
    in_episodes = (2 * taste**2 + sum(noise**2 / count for count in counts)) / episodes
    true = in_episodes + sum(spread**2 / count for count, spread in zip(counts, seeds, strict=True))
    between = mean_square(in_episodes, episodes - 1, trials, generator)
    variance, freedom = variance_of_difference(
        [VarianceComponents.pooled(*spreads)] if same_spread else spreads, between, episodes - 1
    )
    difference = np.abs(generator.normal(0, np.sqrt(true), trials))
    covered = float(np.mean(difference < t_quantile(1 - LEVEL / 2, freedom) * np.sqrt(variance)))
    if same_spread:
        return covered, float("nan")
    parts = [*(side.between_seeds * side.weight for side in spreads), between]
    freedoms = [*(side.degrees_of_freedom for side in spreads), episodes - 1]
    return covered, float(np.mean(difference > least_significant_difference(LEVEL, parts, freedoms)))


def chosen(trials: int, generator: Generator) -> None:
    """The settings on which the interval's constants were chosen."""
    print("seeds  episodes  spread of seeds  taste  own spreads  one spread  called different")
    for counts in COUNTS:
        for episodes, *seeds, taste in SETTINGS:
            nothing = (float("nan"), float("nan"))
            own, one = (
                shares(counts, episodes, seeds, taste, same_spread=same, trials=trials, generator=generator)
                if (min(counts) > 2 if not same else seeds[0] == seeds[1])
                else nothing
                for same in (False, True)
            )
            print(
                f"{counts[0]:2}+{counts[1]:<2}  {episodes:8}  {seeds[0]:7} {seeds[1]:7}  {taste:5}  "
                f"{100 * own[0]:11.1f}  {100 * one[0]:10.1f}  {100 * own[1]:16.2f}"
            )


def fresh(settings: int, trials: int, generator: Generator) -> None:
    """Settings drawn by chance, the most alarming last."""
    results = []
    for _ in range(settings):
        drawn = draw_setting(generator, 2)
        results.append(
            (
                *reversed(
                    shares(
                        drawn.counts,
                        drawn.episodes,
                        drawn.spreads,
                        drawn.taste,
                        same_spread=False,
                        trials=trials,
                        generator=generator,
                        noise=drawn.noise or NOISE,
                    )
                ),
                drawn,
            )
        )
    print("called different  covered  setting")
    for alarms, covered, drawn in sorted(results):
        print(f"{100 * alarms:16.2f}  {100 * covered:7.1f}  {drawn.counts} {np.round(drawn.spreads, 4)} {drawn[2:]}")
    means = np.mean([result[:2] for result in results], axis=0)
    least = min(result[1] for result in results)
    print(f"mean {100 * means[0]:.2f}, {100 * means[1]:.1f}; least covered {100 * least:.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--fresh", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.fresh)
    if arguments.fresh:
        fresh(arguments.fresh, arguments.trials, generator)
    else:
        chosen(arguments.trials, generator)


if __name__ == "__main__":
    main()
