"""Support and query sets come to a method in an order without meaning; scores are those of the episode's order."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from mamlbench.api import EpisodeBatch, Examples
from mamlbench.plugin import load_plugins
from mamlbench.record import read_episodes
from mamlbench.run_spec import RunRequest
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan
from mamlbench.runner.shuffled_episodes import adaptation_to_shuffled

POSITIONAL = """
import torch
from mamlbench.api import hookimpl
from mamlbench_plugins.algorithms.fomaml import FOMAML


class Positional(FOMAML):
    def predict(self, state, support_x, x, mode):
        ways = self.objective.outputs
        label = torch.arange(x.shape[0], device=x.device) // (x.shape[0] // ways)
        return torch.nn.functional.one_hot(label, ways).to(x.dtype)


@hookimpl
def mamlbench_register_algorithms(register):
    register("positional", Positional)
"""


class Seen:
    """A stand-in for an algorithm that answers with its inputs, and remembers the order of the support set."""

    def adaptation(self, support, keys):
        self.support = support
        yield self

    def predict(self, x, mode):
        self.x = x
        return x


def episodes(tasks=40, support=6, query=10):
    def examples(count):
        x = torch.arange(tasks * count, dtype=torch.float32).view(tasks, count, 1)
        return Examples(x, torch.arange(count).expand(tasks, count))

    return EpisodeBatch(examples(support), examples(query), torch.arange(tasks) * 7 - 50)


def test_outputs_come_back_in_the_order_of_the_episode():
    batch, seen = episodes(), Seen()
    (tasks,) = adaptation_to_shuffled(seen, [batch])
    assert torch.equal(tasks.predict("transductive")[0], batch.query.x)
    assert torch.equal(seen.x.sort(1).values, batch.query.x)
    assert torch.equal(seen.support.x[..., 0].long() % 6, seen.support.y)  # images keep their labels


def test_every_episode_has_an_order_of_its_own_that_its_key_alone_decides():
    batch, seen, again = episodes(), Seen(), Seen()
    (tasks,) = adaptation_to_shuffled(seen, [batch])
    last = EpisodeBatch(*(part and type(part)(part.x[-1:], part.y[-1:]) for part in batch[:2]), batch.keys[-1:])
    (alone,) = adaptation_to_shuffled(again, [last])
    assert torch.equal(alone.x, tasks.x[-1:])
    assert torch.equal(again.support.x, seen.support.x[-1:])
    orders = (tasks.x[..., 0] - tasks.x[..., 0].min(1, keepdim=True).values).long()
    assert len({tuple(order.tolist()) for order in orders}) == 40
    places = one_hot(orders[:, 0], 10).sum(0)  # which query comes first
    assert places.max() < 16  # of 40, 4 expected: P < 1e-5 for each of the ten


def test_answering_by_position_is_at_chance(tmp_path, toy_plugin, folders):
    file = tmp_path / "positional.py"
    file.write_text(POSITIONAL)
    plugins = load_plugins([toy_plugin, file])
    request = RunRequest(
        algorithms=("positional",),
        dataset="toy",
        iterations=1,
        meta_batch_size=2,
        validation_episodes=2,
        test_episodes=200,
        ways=3,
        queries=4,
        keep_predictions=True,
        options={"backbone.width": 8},
    )
    (record,) = launch(plan(request, plugins), plugins, folders)
    modes = record.test.metrics["accuracy"].modes
    for mode in modes.values():
        assert mode.score.mean == pytest.approx(1 / 3, abs=0.04)  # 2,400 answers: 4 standard errors
    targets = read_episodes(record, folders.results)["targets"]
    assert (np.diff(targets, axis=1) >= 0).all()  # what is stored stands class after class, as drawn
