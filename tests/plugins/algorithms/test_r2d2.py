"""R2-D2 by hand: ridge regression in its primal form."""

import math

import pytest
import torch

from mamlbench.engine import LoopEngine, VmapEngine


def primal(features, y, ridge, ways=3):
    """(XᵀX + λI)⁻¹ XᵀY with X and Y divided by √n: the same as (5), by inverting another matrix."""
    n = len(y)
    x = torch.cat([features, torch.ones(n, 1, dtype=features.dtype)], 1)
    targets = torch.nn.functional.one_hot(y, ways).to(x)
    return torch.linalg.inv(x.T @ x / n + ridge * torch.eye(x.shape[1], dtype=x.dtype)) @ x.T @ targets / n


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
def test_the_head_is_the_ridge_regression_of_the_support_set(make_algorithm, make_batch, engine):
    algorithm, batch = make_algorithm("r2d2", engine, ridge=0.3, scale=4.0), make_batch(tasks=2)
    algorithm.meta["learned.shift"].fill_(0.7)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    features = algorithm.model.features
    for task in range(2):
        support, query = (features(algorithm.meta, part.x[task]) for part in (batch.support, batch.query))
        w = primal(support, batch.support.y[task], 0.3)
        by_hand = 4.0 * (query @ w[:-1] + w[-1]) + 0.7
        torch.testing.assert_close(outputs[task], by_hand, rtol=1e-8, atol=1e-10)


def test_scale_shift_and_ridge_are_learned(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("r2d2", ridge=0.3, scale=4.0, learned_ridge=True), make_batch(tasks=1)
    assert float(algorithm.meta["learned.log_ridge"]) == pytest.approx(math.log(0.3))
    algorithm.meta = algorithm.meta.map(lambda value: value.clone().requires_grad_())
    x, y = batch.support.x[0], batch.support.y[0]
    w = primal(algorithm.model.features(algorithm.meta, x), y, algorithm.meta["learned.log_ridge"].exp())
    query = algorithm.model.features(algorithm.meta, batch.query.x[0])
    logits = algorithm.meta["learned.scale"] * (query @ w[:-1] + w[-1]) + algorithm.meta["learned.shift"]
    loss = torch.nn.functional.cross_entropy(logits, batch.query.y[0])
    gradients = dict(zip(algorithm.meta, torch.autograd.grad(loss, list(algorithm.meta.values())), strict=True))
    algorithm.meta = algorithm.meta.map(torch.Tensor.detach)
    update = algorithm.compute_update(batch)
    assert float(update.loss) == pytest.approx(float(loss.detach()), rel=1e-9)
    for name, gradient in gradients.items():
        torch.testing.assert_close(update.sums[name], gradient, rtol=1e-7, atol=1e-10)
    # a shift that all classes share moves no probability
    assert float(update.sums["learned.scale"].abs()) > 0 and float(update.sums["learned.log_ridge"].abs()) > 0


def test_a_ridge_that_is_not_learned_is_not_in_the_state(make_algorithm):
    assert "meta/learned.log_ridge" not in make_algorithm("r2d2").state()
