"""Tasks of an environment as a data set: an episode is one task, its examples are trajectories."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from mamlbench.api import (
    SPLITS,
    ConfigError,
    DataPaths,
    Dataset,
    DatasetInfo,
    EpisodeBatch,
    Examples,
    Keys,
    LocalCopy,
    Objective,
    Options,
    TaskSplit,
    hash64,
    uniform,
)
from mamlbench_plugins.datasets.environments import Bandits, EnvironmentFamily, Navigation, Return


class EnvironmentSplit(TaskSplit):
    """One split: all tasks of an environment; splits draw different ones because their episodes have different keys."""

    def __init__(self, environment: EnvironmentFamily, split: str, device: torch.device | None = None) -> None:
        self.environment, self.split = environment, split
        self.device = device or torch.device("cpu")
        self.hash = hashlib.sha256(repr((*environment.facts, split)).encode()).hexdigest()
        self.size = 1  # one family of tasks; there are no classes

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Draw a task and noise per key: x is float32 ``[T, shots, example_size]``, y zeros ``[T, shots, 1]``.

        Raises ConfigError if ``ways`` is not 1, because a task has no classes.
        """
        if ways != 1:
            raise ConfigError(f"{ways} ways were requested, and a task of reinforcement has no classes: use 1.")
        environment, count = self.environment, shots + queries
        chance = uniform(hash64(keys, 0)[:, None], np.arange(environment.task_size))  # [T, task_size]
        task = environment.draw_task(torch.from_numpy(chance))[:, None].expand(-1, count, -1)
        places = np.arange(environment.horizon * environment.noise_size)
        of_trajectory = hash64(hash64(keys, 1)[:, None], np.arange(count))  # [T, K + Q]
        noise = torch.from_numpy(uniform(of_trajectory[..., None], places))  # [T, K + Q, H * noise_size]
        x = torch.cat([task, noise], -1).to(self.device, torch.float32)
        y = x.new_zeros(*x.shape[:2], 1)
        return EpisodeBatch(
            support=Examples(x[:, :shots], y[:, :shots]),
            query=Examples(x[:, shots:], y[:, shots:]),
            keys=torch.from_numpy(hash64(keys, 3).view(np.int64)),
        )

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Raise ConfigError: trajectories have no labels, x ``[count, ...]`` and y ``[count]`` do not exist."""
        raise ConfigError("Trajectories have no labels: pretrain a policy with pretrain-rl.")

    def to(self, device: torch.device) -> EnvironmentSplit:
        return EnvironmentSplit(self.environment, self.split, device)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.environment.example_size,)

    @property
    def network_shape(self) -> tuple[int, ...]:
        return (self.environment.observation_size,)

    @property
    def objective(self) -> Objective:
        return Return(self.environment)


class EnvironmentTasks(Dataset):
    """Tasks of an environment; needs no files."""

    default_backbone: ClassVar[str] = "mlp"
    kind = "reinforcement"

    def environment(self) -> EnvironmentFamily:
        """The environment of the options."""
        raise NotImplementedError

    @classmethod
    def find_local_copy(cls, options: Any, paths: DataPaths) -> LocalCopy:
        return LocalCopy("computed", amount="any number of tasks", prepared=True)

    def load(self) -> Mapping[str, TaskSplit]:
        self.origin = "computed"
        return {name: EnvironmentSplit(self.environment(), name) for name in SPLITS}

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
