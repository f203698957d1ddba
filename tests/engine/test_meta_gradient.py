"""The meta-gradient, held to what it is by definition."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mamlbench.api import Backbone, BatchNorm, Options
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.nn import fast_layers
from mamlbench_plugins.backbones.conv4 import PooledConv4, StridedConv4

ENGINES = [
    LoopEngine(),
    LoopEngine("remat"),
    VmapEngine(),
    VmapEngine(chunk=3),
    VmapEngine(differentiation="remat"),
    VmapEngine(chunk=3, differentiation="remat"),
]


class Smooth(Backbone):
    """No kinks, so that finite differences mean something."""

    def features(self, input_shape):
        return nn.Sequential(nn.Flatten(), nn.Linear(9, 4), BatchNorm(4), nn.Tanh()), 4


def flat(tensors):
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def relative(ours, reference):
    return float((flat(ours) - flat(reference)).norm() / flat(reference).norm())


def plain_autograd(algorithm, batch, steps, *, second_order):
    """MAML as anybody would write it with torch.autograd: one task after the other, graph and all."""
    network, rate = algorithm.model.network, algorithm.options.inner_lr
    total = {name: torch.zeros_like(value) for name, value in algorithm.meta.items()}
    total_loss = 0.0
    for task in range(batch.tasks):
        meta = {name: value.clone().requires_grad_() for name, value in algorithm.meta.items()}
        adapted = dict(meta)
        for _ in range(steps):
            outputs = functional_call(network, adapted, (batch.support.x[task],))
            loss = nn.functional.cross_entropy(outputs, batch.support.y[task])
            frozen = frozenset() if algorithm.options.adapt_norm else algorithm.model.norm_names
            names = [name for name in adapted if name not in frozen]
            gradients = torch.autograd.grad(loss, [adapted[name] for name in names], create_graph=second_order)
            for name, gradient in zip(names, gradients, strict=True):
                adapted[name] = adapted[name] - rate * gradient
        outputs = functional_call(network, adapted, (batch.query.x[task],))
        loss = nn.functional.cross_entropy(outputs, batch.query.y[task])
        gradients = torch.autograd.grad(loss, list(meta.values()))
        for name, gradient in zip(meta, gradients, strict=True):
            total[name] += gradient
        total_loss += float(loss.detach())
    return total, total_loss


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_equals_a_plain_autograd_loop(make_algorithm, make_batch, engine, steps, name):
    algorithm = make_algorithm(name, engine, inner_lr=0.3, train_steps=steps)
    direction = algorithm.compute_update(make_batch())
    reference, loss = plain_autograd(algorithm, make_batch(), steps, second_order=name == "maml")
    assert relative(direction.sums, reference) < 1e-10
    assert float(direction.loss) == pytest.approx(loss, rel=1e-10)
    assert direction.count == 4


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("scale", [False, True], ids=["bias only", "scale and bias"])
def test_batch_norm_parameters_are_adapted_where_that_is_asked_for(make_algorithm, make_batch, engine, scale):
    backbone = StridedConv4(StridedConv4.Options(width=4, scale=scale))
    algorithm = make_algorithm("maml", engine, backbone=backbone, inner_lr=0.3, train_steps=2, adapt_norm=True)
    reference, loss = plain_autograd(algorithm, make_batch(), 2, second_order=True)
    direction = algorithm.compute_update(make_batch())
    assert relative(direction.sums, reference) < 1e-10
    assert float(direction.loss) == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_pooled_early_with_derivatives_by_hand_it_equals_the_textbook_network(
    make_algorithm, make_batch, engine, name, monkeypatch
):
    shape, given = (3, 16, 16), {"inner_lr": 0.1, "train_steps": 2, "adapt_norm": True}
    backbone = PooledConv4(PooledConv4.Options(width=4))
    textbook = make_algorithm(name, LoopEngine(plain=True), backbone=backbone, shape=shape, **given)
    reference, loss = plain_autograd(textbook, make_batch(shape=shape), 2, second_order=name == "maml")
    monkeypatch.setattr(fast_layers, "LARGE", 0)
    method = make_algorithm(name, engine, backbone=backbone, shape=shape, **given)
    assert sum(method.model.fusion.replaced.values()) == 4 and not textbook.model.fusion.replaced
    direction = method.compute_update(make_batch(shape=shape))
    assert direction.sums.keys() == reference.keys(), "models trained on one can be loaded into the other"
    assert relative(direction.sums, reference) < 1e-9
    assert float(direction.loss) == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("engine", [LoopEngine("remat"), VmapEngine(differentiation="remat")])
def test_recomputing_evaluates_no_inner_gradient_twice(make_algorithm, make_batch, engine, monkeypatch):
    algorithm, calls = make_algorithm("maml", engine, train_steps=3), []

    def counting(name):
        function = getattr(algorithm, name)
        monkeypatch.setattr(algorithm, name, lambda *arguments: calls.append(name) or function(*arguments))

    counting("inner_loss")
    counting("loss")
    algorithm.compute_update(make_batch(tasks=1))
    # inner steps, query set, Hessian-vector products
    assert calls == ["inner_loss"] * 3 + ["loss"] + ["inner_loss"] * 3


@pytest.mark.parametrize("steps", [1, 2])
def test_second_order_equals_central_differences(make_algorithm, make_batch, steps):
    algorithm = make_algorithm("maml", backbone=Smooth(Options()), shape=(1, 3, 3), inner_lr=0.5, train_steps=steps)
    batch = make_batch(shape=(1, 3, 3))
    ours = algorithm.compute_update(batch).sums
    reference = {name: torch.zeros_like(value) for name, value in algorithm.meta.items()}
    h = 1e-5
    for name, value in algorithm.meta.items():
        for place in range(value.numel()):
            kept = value.view(-1)[place].item()
            losses = []
            for sign in (1, -1):
                value.view(-1)[place] = kept + sign * h
                losses.append(float(algorithm.compute_update(batch).loss))
            value.view(-1)[place] = kept
            reference[name].view(-1)[place] = (losses[0] - losses[1]) / (2 * h)
    assert relative(ours, reference) < 1e-6


def test_first_order_is_the_query_gradient_at_the_adapted_parameters(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("fomaml", inner_lr=0.3, train_steps=2), make_batch(tasks=1)
    adapted = algorithm.init(algorithm.meta, None)
    support, query = [type(part)(part.x[0], part.y[0]) for part in (batch.support, batch.query)]
    for _ in range(2):
        adapted = algorithm.step(adapted, support)
    at = {name: value.clone().requires_grad_() for name, value in adapted.items()}
    loss = nn.functional.cross_entropy(functional_call(algorithm.model.network, at, (query.x,)), query.y)
    reference = dict(zip(at, torch.autograd.grad(loss, list(at.values())), strict=True))
    assert relative(algorithm.compute_update(batch).sums, reference) < 1e-12


def test_the_two_orders_differ(make_algorithm, make_batch):
    """Were they equal, one of the two would not be what it says."""
    first = make_algorithm("fomaml", inner_lr=0.3).compute_update(make_batch()).sums
    second = make_algorithm("maml", inner_lr=0.3).compute_update(make_batch()).sums
    assert relative(first, second) > 0.01


def test_without_inner_steps_it_is_joint_training(make_algorithm, make_batch):
    first = make_algorithm("fomaml", train_steps=0).compute_update(make_batch()).sums
    second = make_algorithm("maml", train_steps=0).compute_update(make_batch()).sums
    assert relative(first, second) < 1e-12
