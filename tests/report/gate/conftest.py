"""Records of BASE and HEAD, as a suite produces them before and after a change."""

import numpy as np
import pytest

from mamlbench.report import LoadedRecords

EPISODES = 200


@pytest.fixture
def runs(make_record):
    """Make records of one configuration: ``runs("maml", skill=0.8, seeds=range(3), spread=0.01, seconds=[100, 101])``.

    The difficulty of the episodes is shared by all; ``draw`` numbers independent trainings.
    """
    difficulty = np.random.default_rng(0).normal(0, 0.1, EPISODES)

    def make(algorithm="maml", skill=0.8, seeds=range(3), *, spread=0.005, draw=0, seconds=None, **settings):
        records = []
        for index, seed in enumerate(seeds):
            generator = np.random.default_rng([draw, seed])
            chance = np.clip(skill + generator.normal(0, spread) + difficulty, 0, 1)
            scores = generator.binomial(15, chance) / 15
            duration = seconds[index % len(seconds)] if seconds else 100 + generator.normal(0, 0.5)
            records.append(make_record(algorithm, seed=seed, episodes=scores, seconds=duration, queries=15, **settings))
        return records

    return make


@pytest.fixture
def side():
    """Make one side of a comparison: ``side(records, more_records)``."""

    def make(*records, problems=()):
        return LoadedRecords([record for part in records for record in part], list(problems), [])

    return make
