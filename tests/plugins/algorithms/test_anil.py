"""ANIL against MAML, of which it is a special case."""

import pytest
import torch
from torch.func import grad

from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench_plugins.algorithms.maml import MAML

ENGINES = [LoopEngine(), VmapEngine()]


class HeadMAML(MAML):
    """MAML whose inner loop changes the head alone."""

    @property
    def adapted(self):
        return [name for name in self.meta if name.startswith("head.")]


def headed(algorithm):
    """Let this MAML's inner loop change the head alone, as if the rates of the body were zero."""
    algorithm.__class__ = HeadMAML
    return algorithm


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_meta_gradient_is_mamls_with_the_body_rates_zero(make_algorithm, make_batch, engine, steps):
    options = {"inner_lr": 0.5, "train_steps": steps, "loss_reduction": "per-shot"}
    ours = make_algorithm("anil", engine, **options).compute_update(make_batch())
    reference = headed(make_algorithm("maml", **options)).compute_update(make_batch())
    assert float(ours.loss) == pytest.approx(float(reference.loss), rel=1e-10)
    for name, value in reference.sums.items():
        assert float(value.abs().max()) > 0, "the body learns too"
        torch.testing.assert_close(ours.sums[name], value, rtol=1e-10, atol=1e-12)


def test_the_inner_loop_leaves_the_body_alone(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("anil", inner_lr=0.5, test_steps=3), make_batch(tasks=2)
    states = algorithm.adapt(batch.support, batch.keys).states
    assert set(states.head) == {"head.weight", "head.bias"}
    assert states.body == {}, "no task has a body of its own"
    for name, value in states.head.items():
        assert bool((value != algorithm.meta[name]).any())


@pytest.mark.parametrize("mode", ["transductive", "inductive", "support+query"])
def test_predictions_are_those_of_maml_with_the_body_rates_zero(make_algorithm, make_batch, mode):
    batch = make_batch(tasks=2)
    ours, reference = make_algorithm("anil", inner_lr=0.5), headed(make_algorithm("maml", inner_lr=0.5))
    for one, other in zip(*(a.adaptation(batch.support, batch.keys) for a in (ours, reference)), strict=True):
        expected = other.predict(batch.query.x, mode)
        torch.testing.assert_close(one.predict(batch.query.x, mode), expected, rtol=1e-10, atol=1e-12)


def test_the_support_loss_falls_along_the_head(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("anil", inner_lr=0.01), make_batch(tasks=1)
    support = type(batch.support)(batch.support.x[0], batch.support.y[0])
    state = algorithm.init(algorithm.meta, support)
    gradient = grad(lambda head: algorithm.loss(state._replace(head=head), support))(state.head)
    for name, value in algorithm.step(state, support).head.items():
        torch.testing.assert_close(value, state.head[name] - 0.01 * gradient[name], rtol=1e-10, atol=1e-12)
