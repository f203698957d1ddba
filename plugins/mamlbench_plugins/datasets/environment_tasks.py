"""Tasks of an environment as a data set: an episode is one task, its examples are trajectories."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from mamlbench.api import ConfigError, DatasetInfo, Examples, Keys, Objective, Options, TaskSplit, hash64, uniform
from mamlbench_plugins.datasets.computed_tasks import ComputedTasks, FamilySplit
from mamlbench_plugins.datasets.environments import Bandits, EnvironmentFamily, Navigation, Return


class EnvironmentSplit(FamilySplit[EnvironmentFamily]):
    """All tasks of an environment: x of an example is float32 ``[example_size]``, y a zero ``[1]``."""

    noun = "task of reinforcement"

    @property
    def facts(self) -> tuple[object, ...]:
        return self.family.facts

    def draw(self, keys: Keys, count: int) -> Examples:
        environment = self.family
        chance = uniform(hash64(keys, 0)[:, None], np.arange(environment.task_size))  # [T, task_size]
        task = environment.draw_task(torch.from_numpy(chance))[:, None].expand(-1, count, -1)
        places = np.arange(environment.horizon * environment.noise_size)
        of_trajectory = hash64(hash64(keys, 1)[:, None], np.arange(count))  # [T, count]
        noise = torch.from_numpy(uniform(of_trajectory[..., None], places))  # [T, count, H * noise_size]
        x = torch.cat([task, noise], -1).to(self.device, torch.float32)
        return Examples(x, x.new_zeros(*x.shape[:2], 1))

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Raise ConfigError: trajectories have no labels, x ``[count, ...]`` and y ``[count]`` do not exist."""
        raise ConfigError("Trajectories have no labels: pretrain a policy with pretrain-rl.")

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.family.example_size,)

    @property
    def network_shape(self) -> tuple[int, ...]:
        return (self.family.observation_size,)

    @property
    def objective(self) -> Objective:
        return Return(self.family)


class EnvironmentTasks(ComputedTasks):
    """Tasks of an environment; needs no files."""

    kind = "reinforcement"

    def environment(self) -> EnvironmentFamily:
        """The environment of the options."""
        raise NotImplementedError

    def make_split(self, name: str) -> TaskSplit:
        return EnvironmentSplit(self.environment(), name)

    def objective(self, ways: int) -> Objective:
        """The return; ``ways`` is ignored."""
        return Return(self.environment())


class NavigationTasks(EnvironmentTasks):
    """2-D navigation: a point goes to a goal that it does not see."""

    info = DatasetInfo(
        title="2-D navigation",
        license="computed (no data)",
        citation="Finn, Abbeel and Levine, Model-Agnostic Meta-Learning, ICML 2017, section 5.3",
        homepage="https://arxiv.org/abs/1703.03400",
    )

    class Options(Options):
        """Options of the environment."""

        horizon: int = Field(100, ge=1, le=1000, description="most steps of a trajectory")

    def environment(self) -> EnvironmentFamily:
        return Navigation(self.options.horizon)


class BanditTasks(EnvironmentTasks):
    """Bandits: arms that bring 1 with a probability of their own."""

    info = DatasetInfo(
        title="Multi-armed bandits",
        license="computed (no data)",
        citation="Duan et al., RL²: Fast Reinforcement Learning via Slow Reinforcement Learning, 2016, section 3.1",
        homepage="https://arxiv.org/abs/1611.02779",
    )

    class Options(Options):
        """Options of the environment."""

        arms: int = Field(5, ge=2, le=1000, description="number of arms")
        horizon: int = Field(10, ge=1, le=1000, description="pulls in a trajectory")

    def environment(self) -> EnvironmentFamily:
        return Bandits(self.options.arms, self.options.horizon)
