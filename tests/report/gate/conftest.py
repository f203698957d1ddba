"""Records of two sides, as a suite before and after a change leaves them."""

import numpy as np
import pytest

from mamlbench.report import Reading

EPISODES = 200


@pytest.fixture
def runs(make_record):
    """Records of one cell: ``runs("maml", skill=0.8, seeds=range(3), spread=0.01, seconds=[100, 101, 99])``.

    The difficulty of the episodes is shared by all; ``draw`` numbers independent trainings.
    """
    difficulty = np.random.default_rng(0).normal(0, 0.1, EPISODES)

    def make(algorithm="maml", skill=0.8, seeds=range(3), *, spread=0.005, draw=0, seconds=None, **given):
        made = []
        for place, seed in enumerate(seeds):
            generator = np.random.default_rng([draw, seed])
            chance = np.clip(skill + generator.normal(0, spread) + difficulty, 0, 1)
            scores = generator.binomial(15, chance) / 15
            took = seconds[place % len(seconds)] if seconds else 100 + generator.normal(0, 0.5)
            made.append(make_record(algorithm, seed=seed, episodes=scores, seconds=took, queries=15, **given))
        return made

    return make


@pytest.fixture
def reading():
    """A side: ``reading(records)``."""

    def make(*records, problems=()):
        return Reading([record for each in records for record in each], list(problems), [])

    return make
