"""Environments as pure functions of a task, a policy and noise, so that all trajectories of all tasks run at once.

A trajectory is an example: its x has the numbers of the task and the noise of every step, drawn before. So the same
episodes, noise included, are met by every method, and a trajectory is repeated by its numbers alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from mamlbench.api import ConfigError, Objective

Policy = Callable[[Tensor], Tensor]
"""The network: observations ``[n, o]`` to outputs ``[n, outputs]``."""


class Trajectories(NamedTuple):
    """n trajectories of H steps; after its end a trajectory brings no reward."""

    observations: Tensor  # [n, H, o]
    actions: Tensor  # [n, H, a]
    rewards: Tensor  # [n, H]
    running: Tensor  # [n, H] 1 until the end, then 0


class EnvironmentFamily(ABC):
    """What all tasks of a family share.

    Attributes:
        horizon: most steps H of a trajectory.
        task_size: numbers that distinguish a task.
        noise_size: numbers of noise in a step, uniform in [0, 1).
        observation_size: numbers that the policy sees.
        outputs: of the network.
        spreads: logarithms of standard deviations that a policy has beside the network.
    """

    horizon: int
    task_size: int
    noise_size: int
    observation_size: int
    outputs: int
    spreads: int

    @abstractmethod
    def draw_task(self, chance: Tensor) -> Tensor:
        """The numbers of tasks ``[T, task_size]`` from uniform ones in [0, 1) of this shape."""

    @abstractmethod
    def act(self, outputs: Tensor, spread: Tensor, noise: Tensor) -> Tensor:
        """Actions ``[n, a]`` from outputs ``[n, outputs]``, log standard deviations and noise ``[n, noise_size]``."""

    @abstractmethod
    def log_probability(self, outputs: Tensor, spread: Tensor, actions: Tensor) -> Tensor:
        """Log probabilities ``[n]`` of actions ``[n, a]``."""

    @abstractmethod
    def step(self, task: Tensor, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next state ``[n, o]``, the reward ``[n]`` and 1 where the trajectory goes on, else 0, ``[n]``."""

    @property
    def facts(self) -> tuple[object, ...]:
        """What distinguishes the family from others, for the hash of its data."""
        return type(self).__name__, self.task_size, self.horizon

    def start(self, task: Tensor, noise: Tensor) -> Tensor:
        """The first state ``[n, o]`` of tasks ``[n, task_size]`` with the noise ``[n, H, noise_size]`` of all steps."""
        return task.new_zeros(len(task), self.observation_size)

    @property
    def example_size(self) -> int:
        """Numbers of an example."""
        return self.task_size + self.horizon * self.noise_size

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Examples ``[..., example_size]`` as tasks ``[..., task_size]`` and noise ``[..., H, noise_size]``."""
        noise = x[..., self.task_size :]
        return x[..., : self.task_size], noise.reshape(*noise.shape[:-1], self.horizon, self.noise_size)

    def shifted(self, x: Tensor, steps: int) -> Tensor:
        """The same tasks with the noise moved along the trajectory: other trajectories ``[..., example_size]``."""
        task, noise = self.parts(x)
        return torch.cat([task, noise.roll(steps, -2).flatten(-2)], -1)

    def run(self, policy: Policy, spread: Tensor, x: Tensor) -> Trajectories:
        """Run the policy in ONE task: examples ``[n, example_size]``."""
        task, noise = self.parts(x)
        state, running = self.start(task, noise), x.new_ones(len(x))
        steps: list[Trajectories] = []
        for number in range(self.horizon):
            of_step = noise[:, number]
            action = self.act(policy(state), spread, of_step)
            following, reward, goes_on = self.step(task, state, action, of_step)
            steps.append(Trajectories(state, action, reward * running, running))
            state, running = following, running * goes_on
        return Trajectories(*(torch.stack(values, 1) for values in zip(*steps, strict=True)))


class Return(Objective):
    """The sum of rewards in an environment. An output has no loss: methods of reinforcement alone learn it."""

    metrics = ("return",)

    def __init__(self, environment: EnvironmentFamily) -> None:
        self.environment = environment
        self.outputs = environment.outputs

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        raise ConfigError("Tasks of reinforcement have no targets: use a method such as maml-rl.")


class GaussianActions(EnvironmentFamily):
    """Actions are normal around the network's outputs, with learned deviations; for ``spreads`` numbers of noise."""

    def act(self, outputs: Tensor, spread: Tensor, noise: Tensor) -> Tensor:
        normal = math.sqrt(2) * torch.erfinv((2 * noise - 1).clamp(-0.999999, 0.999999))
        return outputs + spread.exp() * normal

    def log_probability(self, outputs: Tensor, spread: Tensor, actions: Tensor) -> Tensor:
        z = (actions - outputs) * (-spread).exp()
        return -(z.square() / 2 + spread + math.log(2 * math.pi) / 2).sum(-1)


class SoftmaxActions(EnvironmentFamily):
    """An action is the number of one of ``outputs``, drawn by their softmax; the first number of noise decides."""

    def act(self, outputs: Tensor, spread: Tensor, noise: Tensor) -> Tensor:
        below = outputs.softmax(-1).cumsum(-1) < noise[:, :1]
        return below.sum(-1, keepdim=True).clamp(max=self.outputs - 1).to(outputs)

    def log_probability(self, outputs: Tensor, spread: Tensor, actions: Tensor) -> Tensor:
        return log_softmax(outputs, -1).gather(-1, actions.long()).squeeze(-1)


class Navigation(GaussianActions):
    """A point in the plane goes to a goal that it does not see (Finn et al. 2017, section 5.3).

    It starts at the origin; the goal is uniform in the square from -0.5 to 0.5. An observation is the position, an
    action a velocity, clipped to 0.1 in each direction; the reward is minus the squared distance to the goal. A
    trajectory ends within 0.01 of the goal, or after 100 steps. The policy is Gaussian.
    """

    task_size, noise_size, observation_size, outputs, spreads = 2, 2, 2, 2, 2
    side, fastest, near = 0.5, 0.1, 0.01

    def __init__(self, horizon: int = 100) -> None:
        self.horizon = horizon

    def draw_task(self, chance: Tensor) -> Tensor:
        return self.side * (2 * chance - 1)

    def step(self, task: Tensor, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        position = state + action.clamp(-self.fastest, self.fastest)
        squared = (position - task).square().sum(-1)
        return position, -squared, (squared > self.near**2).to(state)


class Bandits(SoftmaxActions):
    """Arms that bring 1 with a probability of their own, uniform in [0, 1], else 0: Duan et al. 2016, arXiv 1611.02779.

    A trajectory is a number of pulls; the policy sees nothing, and is a probability of each arm.
    """

    noise_size, observation_size, spreads = 2, 1, 0

    def __init__(self, arms: int = 5, horizon: int = 10) -> None:
        self.task_size = self.outputs = arms
        self.horizon = horizon

    def draw_task(self, chance: Tensor) -> Tensor:
        return chance

    def step(self, task: Tensor, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        probability = (task * one_hot(action.long().squeeze(-1), self.outputs)).sum(-1)
        return state, (noise[:, 1] < probability).to(state), torch.ones_like(probability)
