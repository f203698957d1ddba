"""Tasks of environments as episodes: functions of their keys, the same in any batch."""

import numpy as np
import pytest
import torch

from mamlbench.errors import ConfigError
from mamlbench_plugins.datasets.environment_tasks import BanditTasks, EnvironmentSplit, NavigationTasks
from mamlbench_plugins.datasets.environments import Navigation, Return

KEYS = np.array([3, 4, 5], np.uint64)


@pytest.mark.parametrize(("dataset", "size", "observation"), [(NavigationTasks, 2 + 200, 2), (BanditTasks, 5 + 20, 1)])
def test_examples_have_the_task_and_noise(dataset, size, observation):
    made = dataset(dataset.Options(), None)
    split = made.splits["test"]
    batch = split.episodes(KEYS, 1, 4, 2)
    assert batch.support.x.shape == (3, 4, size) and batch.query.x.shape == (3, 2, size)
    assert split.input_shape == (size,) and split.network_shape == (observation,)
    task = made.environment().task_size
    tasks = torch.cat([batch.support.x, batch.query.x], 1)[..., :task]
    assert torch.equal(tasks, tasks[:, :1].expand_as(tasks)) and len(torch.unique(tasks[:, 0], dim=0)) == 3
    assert len(torch.unique(batch.support.x[..., task:])) > 0.99 * batch.support.x[..., task:].numel()
    alone, more = split.episodes(KEYS[1:2], 1, 4, 2), split.episodes(KEYS, 1, 4, 5)
    assert torch.equal(alone.query.x[0], batch.query.x[1]) and torch.equal(more.support.x, batch.support.x)
    assert isinstance(made.objective(1), Return) and split.to(torch.device("cpu")).hash == split.hash
    assert len({one.hash for one in made.splits.values()}) == 3


def test_what_trajectories_do_not_have_is_refused():
    split = EnvironmentSplit(Navigation(), "test")
    with pytest.raises(ConfigError, match="has no classes: use 1"):
        split.episodes(KEYS, 2, 1, 1)
    with pytest.raises(ConfigError, match="have no labels"):
        split.labeled_examples(KEYS[0], 3)
    with pytest.raises(ConfigError, match="use a method such as maml-rl"):
        Return(Navigation()).losses(torch.zeros(2, 2), torch.zeros(2, 1))
