"""Simulated accuracies, for measuring error rates of tests and intervals."""

import numpy as np
import pytest

TRIALS = 2000
EPISODES = 150
QUERIES = 5


@pytest.fixture
def difficulty():
    """Draw the difficulty of episodes ``[trials, 1, episodes]``, shared by all algorithms."""

    def draw(generator, trials=TRIALS):
        return generator.normal(0, 0.1, (trials, 1, EPISODES))

    return draw


@pytest.fixture
def simulate():
    """Draw accuracies ``[trials, seeds, episodes]`` of one algorithm, each the fraction of QUERIES correct answers.

    ``difficulty`` is that of each episode; ``interaction`` the deviation of the algorithm in one episode, the same for
    its seeds; ``seed_spread`` the standard deviation of the seeds' means.
    """

    def draw(generator, seeds, difficulty, *, skill=0.6, seed_spread=0.01, interaction=0.05, trials=TRIALS):
        episode = generator.normal(0, interaction, (trials, 1, EPISODES))
        seed = generator.normal(0, seed_spread, (trials, seeds, 1))
        chance = np.clip(skill + seed + episode + difficulty, 0, 1)
        return generator.binomial(QUERIES, chance) / QUERIES

    return draw
