"""Environments of Gymnasium as families of tasks: one environment with numbers that each task has of its own.

An environment keeps its state in Python, where nothing can be vectorized: a step of all trajectories of all tasks is a
loop over as many environments. The policy's passes before and after it are vectorized as ever (``torch.func.vmap``
hands a step the tensors of all tasks). A trajectory is a function of its numbers, since the environment is reset with a
seed that comes from its noise. That holds for environments that draw from ``np_random`` alone, as Gymnasium's own do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import ConfigError
from mamlbench_plugins.datasets.environments import EnvironmentFamily, GaussianActions, SoftmaxActions

SEEDS = 2**24
"""Number of seeds: float32 noise has so many values."""
Ranges = Mapping[str, tuple[float, float]]
"""Least and most value of each number that tasks differ in, by name."""


class GymEnvironment(EnvironmentFamily):
    """A family of tasks from one environment of Gymnasium.

    Args:
        make: makes an environment.
        set_task: gives an environment the numbers of a task, by name, before it is reset.
        ranges: of these numbers, which are uniform in them.
        horizon: most steps of a trajectory.
        name: what distinguishes the environment from others.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        set_task: Callable[[Any, Mapping[str, float]], None],
        ranges: Ranges,
        *,
        horizon: int,
        name: str,
    ) -> None:
        from gymnasium.spaces.utils import flatdim

        self.make, self.set_task, self.ranges, self.horizon, self.name = make, set_task, ranges, horizon, name
        self.pool = [make()]  # one environment for each trajectory that is run at the same time
        self.over: list[bool] = []  # whether each of these trajectories has ended
        self.task_size = len(ranges)
        self.action_space, self.observation_space = self.pool[0].action_space, self.pool[0].observation_space
        self.observation_size = flatdim(self.observation_space)
        self.outputs = flatdim(self.action_space)

    @property
    def facts(self) -> tuple[object, ...]:
        return "gymnasium", self.name, tuple(sorted(self.ranges.items())), self.horizon

    def draw_task(self, chance: Tensor) -> Tensor:
        low, high = (chance.new_tensor(ends) for ends in zip(*self.ranges.values(), strict=True))
        return low + (high - low) * chance

    def start(self, task: Tensor, noise: Tensor) -> Tensor:
        seed = noise[:, -1, 0]  # not the first step's noise, so that the first action does not depend on it
        observations: Tensor = _Start.apply(task, seed, self)
        return observations

    def step(self, task: Tensor, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        result = _Step.apply(action, state, self)
        return result[..., :-2], result[..., -2], result[..., -1]

    def reset_all(self, tasks: Tensor, seeds: Tensor) -> Tensor:
        """Begin trajectories of tasks ``[n, task_size]``; the first observations ``[n, o]``."""
        while len(self.pool) < len(tasks):
            self.pool.append(self.make())
        self.over = [False] * len(tasks)
        observations = []
        for environment, task, seed in zip(self.pool, tasks.tolist(), seeds.tolist(), strict=False):
            self.set_task(environment, dict(zip(self.ranges, task, strict=True)))
            observation, _ = environment.reset(seed=int(seed * SEEDS))
            observations.append(self._flat(observation))
        return _tensor(observations, tasks)

    def step_all(self, actions: Tensor, states: Tensor) -> Tensor:
        """Step all trajectories ``[n, a]``: observation, reward and whether it goes on, ``[n, o + 2]``."""
        results = []
        for number, (action, state) in enumerate(zip(actions.cpu().numpy(), states.tolist(), strict=True)):
            if self.over[number] or not np.isfinite(action).all():  # a policy that diverged brings no number
                reward = 0.0 if self.over[number] else np.nan
                self.over[number] = True
                results.append([*state, reward, 0.0])
                continue
            observation, reward, terminated, truncated, _ = self.pool[number].step(self.to_action(action))
            self.over[number] = terminated or truncated
            results.append([*self._flat(observation), float(reward), float(not self.over[number])])
        return _tensor(results, actions)

    def to_action(self, action: Any) -> Any:
        """What the environment takes, from an action ``[a]`` of the policy."""
        raise NotImplementedError

    def _flat(self, observation: Any) -> list[float]:
        from gymnasium.spaces.utils import flatten

        flat: list[float] = np.asarray(flatten(self.observation_space, observation), np.float64).tolist()
        return flat


class GymContinuous(GaussianActions, GymEnvironment):
    """One with numbers as actions; those of the policy are clipped to their limits."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.noise_size = self.spreads = self.outputs

    def to_action(self, action: Any) -> Any:
        space = self.action_space
        return action.reshape(space.shape).clip(space.low, space.high).astype(space.dtype)


class GymDiscrete(SoftmaxActions, GymEnvironment):
    """One with a choice of actions."""

    noise_size, spreads = 1, 0

    def to_action(self, action: Any) -> Any:
        return int(action[0]) + int(self.action_space.start)


def gym_environment(make: Callable[[], Any], *arguments: Any, **named: Any) -> GymEnvironment:
    """The family of the kind that the environment's actions ask for; arguments as those of ``GymEnvironment``.

    Raises ConfigError for actions that are neither numbers nor one of several.
    """
    from gymnasium import spaces

    space = make().action_space
    if isinstance(space, spaces.Box):
        return GymContinuous(make, *arguments, **named)
    if isinstance(space, spaces.Discrete):
        return GymDiscrete(make, *arguments, **named)
    raise ConfigError(f"Actions are {space}: a policy here has numbers (Box) or one of several (Discrete).")


def _tensor(rows: list[list[float]], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


class _OfAllTasks(torch.autograd.Function):
    """A function of tensors ``[n, ...]`` and an environment, without a derivative: under vmap tasks are examples."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, _: Any) -> tuple[None, None, None]:
        return None, None, None

    @classmethod
    def vmap(cls, info: Any, dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        *tensors, environment = inputs
        folded = [
            (tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)).flatten(0, 1)
            for tensor, dim in zip(tensors, dims, strict=False)
        ]
        result: Tensor = cls.apply(*folded, environment)
        return result.view(info.batch_size, -1, *result.shape[1:]), 0


class _Start(_OfAllTasks):
    """Tasks ``[n, task_size]`` and seeds ``[n]`` to the first observations ``[n, o]``."""

    @staticmethod
    def forward(tasks: Tensor, seeds: Tensor, environment: GymEnvironment) -> Tensor:
        return environment.reset_all(tasks, seeds)


class _Step(_OfAllTasks):
    """Actions ``[n, a]`` and observations ``[n, o]`` to the next observations, rewards and 1 or 0 for going on."""

    @staticmethod
    def forward(actions: Tensor, states: Tensor, environment: GymEnvironment) -> Tensor:
        return environment.step_all(actions, states)
