"""Prototypical networks by hand."""

import pytest
import torch

from mamlbench.api import Examples, Regression
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.mlp import MLP


def distances(algorithm, batch, task, ways=3):
    """Squared distances of each query to each class's mean support feature, one by one."""
    features = algorithm.model.features
    support, queries = (features(algorithm.meta, part.x[task]) for part in (batch.support, batch.query))
    labels = batch.support.y[task].tolist()
    means = [sum(f for f, y in zip(support, labels, strict=True) if y == k) / labels.count(k) for k in range(ways)]
    return torch.stack([torch.stack([(query - mean).square().sum() for mean in means]) for query in queries])


def test_a_query_gets_the_class_of_the_nearest_centroid(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("protonet"), make_batch(tasks=3)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    for task in range(3):
        by_hand = distances(algorithm, batch, task)
        assert torch.equal(outputs[task].argmax(-1), by_hand.argmin(-1))
        probabilities = (-by_hand).softmax(-1)
        torch.testing.assert_close(outputs[task].softmax(-1), probabilities, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine(), VmapEngine(chunk=2)], ids=lambda engine: engine.name)
def test_the_loss_is_the_softmax_of_negative_squared_distances(make_algorithm, make_batch, engine):
    algorithm, batch = make_algorithm("protonet", engine), make_batch(tasks=3)
    names = list(algorithm.meta)
    algorithm.meta = algorithm.meta.map(lambda value: value.clone().requires_grad_())
    loss = 0
    for task in range(3):
        log_p = (-distances(algorithm, batch, task)).log_softmax(-1)
        loss = loss - log_p[torch.arange(6), batch.query.y[task]].mean()
    gradients = torch.autograd.grad(loss, [algorithm.meta[name] for name in names])
    algorithm.meta = algorithm.meta.map(torch.Tensor.detach)
    update = algorithm.compute_update(batch)
    assert float(update.loss) == pytest.approx(float(loss.detach()), rel=1e-10)
    for name, gradient in zip(names, gradients, strict=True):
        torch.testing.assert_close(update.sums[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
def test_it_trains_with_other_ways_than_it_is_tested_with(make_algorithm, make_batch, engine):
    algorithm, batch = make_algorithm("protonet", engine), make_batch(tasks=2, ways=5)
    expected = 0.0
    for task in range(2):
        log_p = (-distances(algorithm, batch, task, ways=5)).log_softmax(-1)
        expected -= float(log_p[torch.arange(10), batch.query.y[task]].mean())
    update = algorithm.compute_update(batch)
    assert float(update.loss) == pytest.approx(expected, rel=1e-10)
    algorithm.apply(update)
    test = make_batch(tasks=2, shots=4)  # other shots than in training, too
    assert algorithm.adapt(test.support, test.keys).predict(test.query.x, "transductive").shape == (2, 6, 3)


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
def test_batch_norm_may_see_support_and_query_together_in_training(make_algorithm, make_batch, engine):
    algorithm, batch = make_algorithm("protonet", engine, joint_norm=True), make_batch(tasks=2)
    expected = 0.0
    for task in range(2):
        together = algorithm.model.features(algorithm.meta, torch.cat([batch.support.x[task], batch.query.x[task]]))
        means = torch.stack([together[:6][batch.support.y[task] == k].mean(0) for k in range(3)])
        log_p = (-torch.cdist(together[6:], means).square()).log_softmax(-1)
        expected -= float(log_p[torch.arange(6), batch.query.y[task]].mean())
    assert float(algorithm.compute_update(batch).loss) == pytest.approx(expected, rel=1e-9)
    apart = make_algorithm("protonet", engine)
    assert float(apart.compute_update(batch).loss) != pytest.approx(expected, rel=1e-3)
    outputs, other = (
        method.adapt(batch.support, batch.keys).predict(batch.query.x, "inductive") for method in (algorithm, apart)
    )
    assert torch.equal(outputs, other), "the test is the same"


def test_the_order_of_the_support_examples_does_not_matter(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("protonet"), make_batch(tasks=2)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = Examples(batch.support.x[:, order], batch.support.y[:, order])
    outputs, other = (
        algorithm.adapt(support, batch.keys).predict(batch.query.x, "inductive")
        for support in (batch.support, shuffled)
    )
    torch.testing.assert_close(outputs, other, rtol=1e-9, atol=1e-11)


def test_the_head_of_the_backbone_is_not_learned(make_algorithm):
    assert all(name.startswith("features.") for name in make_algorithm("protonet").meta)


def test_regression_is_refused_with_a_way_out(make_algorithm):
    mlp = MLP(MLP.Options(hidden=(4,), norm=False))
    with pytest.raises(ConfigError, match="cannot be run on regression; try maml"):
        make_algorithm("protonet", backbone=mlp, shape=(1,), objective=Regression(), pooled=Regression())


def test_a_head_that_is_not_linear_is_refused(make_algorithm):
    class Deep(MLP):
        def head(self, features, outputs):
            return torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(features, outputs))

    with pytest.raises(ConfigError, match="one linear layer"):
        make_algorithm("protonet", backbone=Deep(MLP.Options(hidden=(4,))))
