"""Policy gradients: the surrogate's gradient by hand, the baseline, and rows through the command line."""

import pytest
import torch

from mamlbench.api import EpisodeBatch
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.errors import ConfigError, ExitCode
from mamlbench_plugins.algorithms.policy_advantages import advantages_of
from mamlbench_plugins.algorithms.stochastic_policy import SPREAD
from mamlbench_plugins.backbones.mlp import MLP
from mamlbench_plugins.datasets.environment_tasks import EnvironmentSplit
from mamlbench_plugins.datasets.environments import Navigation, Return

ENVIRONMENT = Navigation(horizon=7)


@pytest.fixture
def make(make_algorithm):
    backbone = MLP(MLP.Options(hidden=(8,), norm=False))
    return lambda name, engine=None, **options: make_algorithm(
        name, engine, backbone=backbone, shape=(2,), objective=Return(ENVIRONMENT), **options
    )


@pytest.fixture
def batch():
    import numpy as np

    drawn = EnvironmentSplit(ENVIRONMENT, "train").episodes(np.array([1, 2], np.uint64), 1, 6, 6)
    support, query = (part._replace(x=part.x.double(), y=part.y.double()) for part in (drawn.support, drawn.query))
    return EpisodeBatch(support, query, drawn.keys)


def reference(algorithm, theta, x):
    """Minus the sum of log-probabilities times advantages over the steps that were run, by torch's own autograd."""
    with torch.no_grad():
        sampled = algorithm.trajectories(theta.map(torch.Tensor.detach), x)
        advantages = advantages_of(sampled, algorithm.options.discount)
    total = 0.0
    for trajectory in range(len(x)):
        for step in range(ENVIRONMENT.horizon):
            mean = algorithm.model(algorithm.network(theta), sampled.observations[trajectory, step][None])[0]
            normal = torch.distributions.Normal(mean, theta[SPREAD].exp())
            total = total + normal.log_prob(sampled.actions[trajectory, step]).sum() * advantages[trajectory, step]
    return -total / sampled.running.sum()


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", ["maml-rl", "fomaml-rl", "pretrain-rl"])
def test_updates_are_those_of_plain_autograd(make, batch, engine, name):
    algorithm = make(name, engine, inner_lr=0.3)
    update = algorithm.compute_update(batch)
    expected = None
    for task in range(2):
        theta = algorithm.meta.map(lambda value: value.clone().requires_grad_())
        adapted = theta
        if name != "pretrain-rl":
            loss = reference(algorithm, theta, batch.support.x[task])
            gradients = torch.autograd.grad(loss, list(theta.values()), create_graph=name == "maml-rl")
            moved = {key: theta[key] - 0.3 * one for key, one in zip(theta, gradients, strict=True)}
            adapted = type(theta)(moved)
        if name == "fomaml-rl":
            adapted = theta = adapted.map(lambda value: value.detach().requires_grad_())
        outer = reference(algorithm, adapted, batch.query.x[task])
        gradients = torch.autograd.grad(outer, list(theta.values()))
        of_task = dict(zip(theta, gradients, strict=True))
        expected = of_task if expected is None else {key: expected[key] + of_task[key] for key in expected}
    for key, value in expected.items():
        torch.testing.assert_close(update.sums[key], value, rtol=1e-7, atol=1e-9)


def test_predictions_are_returns_and_steps_have_noise_of_their_own(make, batch):
    algorithm = make("maml-rl")
    outputs = [
        adapted.predict(batch.query.x, "inductive") for adapted in algorithm.adaptation(batch.support, batch.keys)
    ]
    assert len(outputs) == 4 and outputs[0].shape == (2, 6, 1) and bool((outputs[0] < 0).all())
    first, second = (algorithm.minibatch(batch.support, batch.keys, step, training=False) for step in (0, 1))
    assert torch.equal(first.x, batch.support.x) and not torch.equal(second.x, first.x)
    assert torch.equal(second.x[..., :2], first.x[..., :2])


def test_the_rate_of_further_steps_is_a_share_of_the_first(make, batch):
    algorithm = make("maml-rl", later_share=0.25)
    first = batch.support._replace(x=batch.support.x[0], y=batch.support.y[0])
    later = first._replace(y=torch.ones_like(first.y))
    moved, less = (algorithm.step(algorithm.meta, one) - algorithm.meta for one in (first, later))
    for name, value in moved.items():
        torch.testing.assert_close(less[name], 0.25 * value)


def test_classification_is_refused(make_algorithm):
    with pytest.raises(ConfigError, match="it needs an environment"):
        make_algorithm("maml-rl")


SMALL = [
    "--iterations",
    "2",
    "--meta-batch-size",
    "2",
    "--test-episodes",
    "4",
    "--validation-episodes",
    "2",
    "--engine",
]
COMMAND = ["run", "--shots", "3", *SMALL, "vmap", "-q", "--queries", "3"]


@pytest.mark.parametrize("dataset", ["navigation", "bandits"])
def test_the_command_line_gives_rows(project, dataset):
    methods = [part for name in ("maml-rl", "pretrain-rl") for part in ("--algo", name)]
    shown = project.run(*COMMAND, *methods, "--dataset", dataset, "-o", "dataset.horizon=5").out
    assert f"{dataset}, 3-shot: return" in shown
    for record in project.records():
        assert record.status == "finished" and len(record.test.score_after_step) == 4
        assert record.test.seen is None and record.test.higher_is_better


def test_methods_and_tasks_that_do_not_fit_are_refused(project):
    shown = project.run("run", "--algo", "maml", "--dataset", "navigation", expect=ExitCode.USAGE).err
    assert "Algorithm 'maml' is a method of classification or regression or multi-label" in shown
    shown = project.run("run", "--algo", "maml-rl", "--dataset", "glyphs", expect=ExitCode.USAGE).err
    assert "'maml-rl' is a method of reinforcement" in shown
