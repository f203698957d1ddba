"""Pretraining and fine-tuning against torch's own optimizers."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mamlbench.api import AdaptedTasks, Examples, Regression
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench_plugins.backbones.mlp import MLP


def labeled(count=10, classes=7):
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(count, 1, 14, 14, generator=generator, dtype=torch.float64)
    return Examples(x, torch.arange(count) % classes)


def test_the_update_is_the_gradient_of_the_pooled_loss(make_algorithm):
    algorithm, batch = make_algorithm("pretrain"), labeled()
    weights = {name: value.clone().requires_grad_() for name, value in algorithm.meta.items()}
    loss = nn.functional.cross_entropy(functional_call(algorithm.pooled_model.network, weights, (batch.x,)), batch.y)
    reference = torch.autograd.grad(loss, list(weights.values()))
    update = algorithm.compute_update(batch)
    assert float(update.loss) / update.count == pytest.approx(float(loss.detach()))
    for gradient, expected in zip(update.mean.values(), reference, strict=True):
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("layers", ["head", "all"])
def test_fine_tuning_equals_torch_sgd(make_algorithm, make_batch, layers):
    settings = {"momentum": 0.9, "dampening": 0.9, "weight_decay": 0.01}
    algorithm = make_algorithm("pretrain", finetune=layers, test_steps=5, finetune_lr=0.1, **settings)
    batch = make_batch(tasks=2)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    network = algorithm.task_model.network
    for task in range(2):
        weights = {
            name: (torch.zeros_like(value) if name.startswith("head.") else algorithm.meta[name].clone())
            for name, value in algorithm.task_model.initial_parameters().items()
        }
        tuned = [value.requires_grad_() for name, value in weights.items() if layers == "all" or "head" in name]
        optimizer = torch.optim.SGD(tuned, lr=0.1, **settings)
        for _ in range(5):
            optimizer.zero_grad()
            out = functional_call(network, weights, (batch.support.x[task],))
            nn.functional.cross_entropy(out, batch.support.y[task]).backward()
            optimizer.step()
        expected = functional_call(network, weights, (batch.query.x[task],))
        torch.testing.assert_close(outputs[task], expected.detach(), rtol=1e-9, atol=1e-11)


def test_head_only_leaves_the_features_alone(make_algorithm, make_batch):
    batch = make_batch(tasks=2)
    algorithm = make_algorithm("pretrain", finetune="head", test_steps=2)
    assert set(algorithm.adapt(batch.support, batch.keys).states.tuned) == {"head.weight", "head.bias"}


def test_minibatches_are_smaller_than_the_support_set(make_algorithm, make_batch):
    batch = make_batch(tasks=2)
    algorithm = make_algorithm("pretrain", finetune_batch=4)
    assert algorithm.minibatch(batch.support, batch.keys, 0, training=False).y.shape == (2, 4)
    assert make_algorithm("pretrain").minibatch(batch.support, batch.keys, 0, training=False).y.shape == (2, 6)


def test_regression_keeps_the_pooled_head_and_tunes_everything(make_algorithm):
    mlp = MLP(MLP.Options(hidden=(8, 8), norm=False))
    algorithm = make_algorithm(
        "pretrain",
        backbone=mlp,
        shape=(1,),
        objective=Regression(),
        pooled=Regression(),
        test_steps=100,
        finetune_lr=0.1,
        momentum=0.0,
        dampening=0.0,
    )
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).view(1, 5, 1)
    support = Examples(x, 2 * x)
    losses = [
        float(algorithm.objective.loss(adapted.predict(x, "transductive"), support.y))
        for adapted in algorithm.adaptation(support, torch.zeros(1, dtype=torch.int64))
    ]
    states = algorithm.adapt(support, torch.zeros(1, dtype=torch.int64)).states
    assert set(states.tuned) == set(algorithm.meta)
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("engine", [LoopEngine, VmapEngine])
@pytest.mark.parametrize("name", ["pretrain", "anil", "baseline++"])
@pytest.mark.parametrize("mode", ["transductive", "inductive", "support+query"])
def test_shared_query_features_change_no_answer(make_algorithm, make_batch, name, engine, mode):
    algorithm, batch = make_algorithm(name, engine(), test_steps=2), make_batch(tasks=2)
    for adapted in algorithm.adaptation(batch.support, batch.keys):
        torch.testing.assert_close(
            adapted.predict(batch.query.x, mode),
            AdaptedTasks(algorithm, adapted.states, batch.support).predict(batch.query.x, mode),
            rtol=1e-9,
            atol=1e-11,
        )


def test_query_features_are_computed_once_for_all_steps(make_algorithm, make_batch, monkeypatch):
    algorithm, batch = make_algorithm("pretrain", LoopEngine(), test_steps=3), make_batch(tasks=2)
    computed = []
    plain = algorithm.model.query_features
    monkeypatch.setattr(algorithm.model, "query_features", lambda *x: computed.append(x[-1]) or plain(*x))
    first, second = batch.query.x, batch.query.x.flip(1)
    for adapted in algorithm.adaptation(batch.support, batch.keys):
        for mode in ("transductive", "inductive"):
            adapted.predict(first, mode)
    assert computed == ["transductive"] * 2 + ["inductive"] * 2  # once for each task
    before = adapted.predict(first, "inductive")
    assert not torch.equal(before, adapted.predict(second, "inductive"))
    first[:, 0] += 1.0
    assert not torch.equal(before[:, 0], adapted.predict(first, "inductive")[:, 0]), "a query set changed in place"


def test_with_batch_norm_in_a_head_no_features_are_shared(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("pretrain", test_steps=1), make_batch(tasks=2)
    algorithm.model.norm_names = frozenset({"head.bias"})
    assert {type(adapted) for adapted in algorithm.adaptation(batch.support, batch.keys)} == {AdaptedTasks}
