"""Advantages and their baseline by hand."""

import pytest
import torch

from mamlbench_plugins.algorithms.policy_advantages import advantages_of, linear_baseline
from mamlbench_plugins.datasets.environments import Trajectories


def test_the_baseline_is_exact_for_what_is_linear_in_its_inputs():
    generator = torch.Generator().manual_seed(0)
    positions = torch.randn(8, 20, 2, generator=generator, dtype=torch.float64)
    returns = positions @ torch.tensor([2.0, -1.0], dtype=torch.float64) + torch.linspace(0, 3, 20, dtype=torch.float64)
    ones = torch.ones(8, 20, dtype=torch.float64)
    fitted = linear_baseline(Trajectories(positions, positions, ones, ones), returns)
    torch.testing.assert_close(fitted, returns, atol=0.01, rtol=0)


def test_advantages_have_a_deviation_of_one_and_end_with_the_trajectory():
    generator = torch.Generator().manual_seed(1)
    rewards = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    running = (torch.arange(12) < 9).double().expand(5, -1)
    positions = torch.randn(5, 12, 2, generator=generator, dtype=torch.float64)
    advantages = advantages_of(Trajectories(positions, positions, rewards * running, running), 0.9)
    assert advantages.shape == (5, 12) and bool((advantages[:, 9:] == 0).all())
    assert float(advantages.square().sum() / running.sum()) == pytest.approx(1)


def test_a_later_reward_counts_less():
    rewards = torch.zeros(400, 5, dtype=torch.float64)
    rewards[::2, 4] = 1.0  # half of the trajectories
    positions = torch.zeros(400, 5, 1, dtype=torch.float64)
    advantages = advantages_of(Trajectories(positions, positions, rewards, torch.ones_like(rewards)), 0.5)
    ratios = advantages[0] / advantages[0, 4]
    torch.testing.assert_close(ratios, 0.5 ** torch.arange(4, -1, -1, dtype=torch.float64), atol=0.02, rtol=0)
