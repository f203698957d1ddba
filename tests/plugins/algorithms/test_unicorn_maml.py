"""UNICORN-MAML: one classifier vector for all classes."""

import pytest
import torch

from mamlbench.api import Examples, Regression
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.mlp import MLP


def test_every_class_starts_at_one_vector(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("unicorn-maml"), make_batch(tasks=1)
    assert algorithm.meta["head.weight"].shape == (1, 4) and algorithm.meta["head.bias"].shape == (1,)
    state = algorithm.init(algorithm.meta, Examples(batch.support.x[0], batch.support.y[0]))
    assert state["head.weight"].shape == (3, 4)
    assert all(torch.equal(row, algorithm.meta["head.weight"][0]) for row in state["head.weight"])


def test_its_gradient_is_the_sum_of_the_classes_at_the_adapted_parameters(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("unicorn-maml", inner_lr=0.3, train_steps=2, temperature=0.5), make_batch(tasks=1)
    support, query = (Examples(part.x[0], part.y[0]) for part in batch[:2])
    state = algorithm.init(algorithm.meta, support)
    for _ in range(2):
        state = algorithm.step(state, support)
    adapted = {name: value.detach().clone().requires_grad_() for name, value in state.items()}
    loss = torch.nn.functional.cross_entropy(algorithm.model(adapted, query.x) / 0.5, query.y)
    gradients = dict(zip(adapted, torch.autograd.grad(loss, list(adapted.values())), strict=True))
    update = algorithm.compute_update(batch)
    for name in ("head.weight", "head.bias"):
        torch.testing.assert_close(update.sums[name], gradients[name].sum(0, keepdim=True), rtol=1e-9, atol=1e-12)
    first = "features.0.weight"
    torch.testing.assert_close(update.sums[first], gradients[first], rtol=1e-9, atol=1e-12)


def test_a_score_does_not_depend_on_which_class_has_which_number(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("unicorn-maml", test_steps=3), make_batch(tasks=2)
    renamed = torch.tensor([1, 2, 0])
    outputs, other = (
        algorithm.adapt(Examples(batch.support.x, y), batch.keys).predict(batch.query.x, "transductive")
        for y in (batch.support.y, renamed[batch.support.y])
    )
    torch.testing.assert_close(other[..., renamed], outputs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["unicorn-maml", "proto-maml", "protonet", "r2d2", "simpleshot", "linear-probe"])
def test_regression_is_refused_with_a_way_out(make_algorithm, name):
    mlp = MLP(MLP.Options(hidden=(4,), norm=False))
    with pytest.raises(ConfigError, match="cannot be run on regression; try"):
        make_algorithm(name, backbone=mlp, shape=(1,), objective=Regression(), pooled=Regression())


@pytest.mark.parametrize("name", ["unicorn-maml", "proto-maml", "metaoptnet", "simpleshot", "linear-probe"])
def test_a_head_that_is_not_linear_is_refused(make_algorithm, name):
    class Deep(MLP):
        def head(self, features, outputs):
            return torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(features, outputs))

    with pytest.raises(ConfigError, match="one linear layer"):
        make_algorithm(name, backbone=Deep(MLP.Options(hidden=(4,))))
