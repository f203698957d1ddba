"""Advantages of a policy's steps: what rewards from a step on exceed a linear baseline by."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlbench_plugins.datasets.environments import Trajectories

FARTHEST = 10.0
"""Largest coordinate that the baseline sees."""


def advantages_of(sampled: Trajectories, discount: float) -> Tensor:
    """What rewards from each step on exceed the baseline by, in deviations: ``[n, H]``, zero after the end."""
    ahead, later = [], torch.zeros_like(sampled.rewards[:, 0])
    for number in reversed(range(sampled.rewards.shape[1])):
        later = sampled.rewards[:, number] + discount * later
        ahead.append(later)
    returns = torch.stack(ahead[::-1], 1)  # [n, H]
    rest = (returns - linear_baseline(sampled, returns)) * sampled.running
    return rest / (rest.square().sum() / sampled.running.sum()).sqrt().clamp_min(1e-6)


def linear_baseline(sampled: Trajectories, returns: Tensor) -> Tensor:
    """Returns ``[n, H]`` as ridge regression predicts them from observation, its square, and powers of time."""
    n, horizon = returns.shape
    time = torch.linspace(0, 1, horizon, dtype=returns.dtype, device=returns.device)
    powers = torch.stack([time**power for power in range(4)], -1).expand(n, -1, -1)  # [n, H, 4]
    seen = sampled.observations.nan_to_num(0).clamp(-FARTHEST, FARTHEST)  # a policy that diverged still has a baseline
    inputs = torch.cat([seen, seen.square(), powers], -1)
    inputs = (inputs * sampled.running[..., None]).flatten(0, 1)  # [n * H, 2 o + 4]
    ridge = 1e-3 * torch.eye(inputs.shape[1], dtype=returns.dtype, device=returns.device)
    weights: Tensor = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ (returns * sampled.running).flatten())
    predicted: Tensor = inputs @ weights
    return predicted.view(n, horizon)
