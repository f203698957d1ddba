"""The meta-gradient against its definition: a plain autograd loop, and central differences."""

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
    """A network without kinks, so that finite differences converge."""

    def features(self, input_shape):
        return nn.Sequential(nn.Flatten(), nn.Linear(9, 4), BatchNorm(4), nn.Tanh()), 4


def flat(tensors):
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def relative(computed, reference):
    return float((flat(computed) - flat(reference)).norm() / flat(reference).norm())


def plain_autograd(algorithm, batch, steps, *, second_order):
    """MAML with torch.autograd alone: one task after the other, with the whole graph."""
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
    update = algorithm.compute_update(make_batch())
    reference, loss = plain_autograd(algorithm, make_batch(), steps, second_order=name == "maml")
    assert relative(update.sums, reference) < 1e-10
    assert float(update.loss) == pytest.approx(loss, rel=1e-10)
    assert update.count == 4


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("scale", [False, True], ids=["bias only", "scale and bias"])
def test_batch_norm_parameters_are_adapted_with_adapt_norm(make_algorithm, make_batch, engine, scale):
    backbone = StridedConv4(StridedConv4.Options(width=4, scale=scale))
    algorithm = make_algorithm("maml", engine, backbone=backbone, inner_lr=0.3, train_steps=2, adapt_norm=True)
    reference, loss = plain_autograd(algorithm, make_batch(), 2, second_order=True)
    update = algorithm.compute_update(make_batch())
    assert relative(update.sums, reference) < 1e-10
    assert float(update.loss) == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_pooling_first_with_hand_written_derivatives_equals_the_plain_network(
    make_algorithm, make_batch, engine, name, monkeypatch
):
    shape, options = (3, 16, 16), {"inner_lr": 0.1, "train_steps": 2, "adapt_norm": True}
    backbone = PooledConv4(PooledConv4.Options(width=4))
    plain = make_algorithm(name, LoopEngine(plain=True), backbone=backbone, shape=shape, **options)
    reference, loss = plain_autograd(plain, make_batch(shape=shape), 2, second_order=name == "maml")
    monkeypatch.setattr(fast_layers, "LARGE", 0)
    method = make_algorithm(name, engine, backbone=backbone, shape=shape, **options)
    assert sum(method.model.fusion.replaced.values()) == 4 and not plain.model.fusion.replaced
    update = method.compute_update(make_batch(shape=shape))
    assert update.sums.keys() == reference.keys(), "models trained on one can be loaded into the other"
    assert relative(update.sums, reference) < 1e-9
    assert float(update.loss) == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("engine", [LoopEngine("remat"), VmapEngine(differentiation="remat")])
def test_remat_computes_no_inner_gradient_twice(make_algorithm, make_batch, engine, monkeypatch):
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
    computed = algorithm.compute_update(batch).sums
    reference = {name: torch.zeros_like(value) for name, value in algorithm.meta.items()}
    h = 1e-5
    for name, value in algorithm.meta.items():
        for index in range(value.numel()):
            original = value.view(-1)[index].item()
            losses = []
            for sign in (1, -1):
                value.view(-1)[index] = original + sign * h
                losses.append(float(algorithm.compute_update(batch).loss))
            value.view(-1)[index] = original
            reference[name].view(-1)[index] = (losses[0] - losses[1]) / (2 * h)
    assert relative(computed, reference) < 1e-6


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
    """If they were equal, one of the two would be of the wrong order."""
    first = make_algorithm("fomaml", inner_lr=0.3).compute_update(make_batch()).sums
    second = make_algorithm("maml", inner_lr=0.3).compute_update(make_batch()).sums
    assert relative(first, second) > 0.01


def test_without_inner_steps_it_is_joint_training(make_algorithm, make_batch):
    first = make_algorithm("fomaml", train_steps=0).compute_update(make_batch()).sums
    second = make_algorithm("maml", train_steps=0).compute_update(make_batch()).sums
    assert relative(first, second) < 1e-12
