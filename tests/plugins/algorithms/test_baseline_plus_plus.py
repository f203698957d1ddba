"""Baseline++ beside Baseline: the same stages, with cosines."""

import pytest
import torch
from torch import nn

from mamlbench.api import Examples, Regression
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.mlp import MLP


def labeled(count=10, classes=7):
    x = torch.rand(count, 1, 14, 14, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Examples(x, torch.arange(count) % classes)


def test_scores_are_cosines(make_algorithm):
    algorithm, x = make_algorithm("baseline++", temperature=3.0), labeled().x
    scores = algorithm.pooled_model(algorithm.meta, x)
    features, weight = algorithm.pooled_model.features(algorithm.meta, x), algorithm.meta["head.weight"]
    by_hand = torch.stack([torch.cosine_similarity(f[None], weight) for f in features])
    torch.testing.assert_close(scores, 3 * by_hand, rtol=1e-9, atol=1e-12)
    longer = {**algorithm.meta, "head.weight": 5 * weight}
    torch.testing.assert_close(algorithm.pooled_model(longer, x), scores, rtol=1e-9, atol=1e-12)


def test_the_update_is_the_gradient_of_the_pooled_loss(make_algorithm):
    algorithm, batch = make_algorithm("baseline++"), labeled()
    weights = {name: value.clone().requires_grad_() for name, value in algorithm.meta.items()}
    loss = nn.functional.cross_entropy(algorithm.pooled_model(weights, batch.x), batch.y)
    reference = torch.autograd.grad(loss, list(weights.values()))
    for gradient, expected in zip(algorithm.compute_update(batch).mean.values(), reference, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_fine_tuning_equals_torch_sgd_on_the_head_alone(make_algorithm, make_batch):
    settings = {"momentum": 0.9, "dampening": 0.9, "weight_decay": 0.01}
    algorithm = make_algorithm("baseline++", test_steps=5, finetune_lr=0.1, **settings)
    batch = make_batch(tasks=2)
    states = algorithm.adapt(batch.support, batch.keys).states
    assert set(states.tuned) == {"head.weight"}
    for task in range(2):
        weight = algorithm.new_head["head.weight"].clone().requires_grad_()
        optimizer = torch.optim.SGD([weight], lr=0.1, **settings)
        for _ in range(5):
            optimizer.zero_grad()
            scores = algorithm.model({**algorithm.meta, "head.weight": weight}, batch.support.x[task])
            nn.functional.cross_entropy(scores, batch.support.y[task]).backward()
            optimizer.step()
        torch.testing.assert_close(states.tuned["head.weight"][task], weight.detach(), rtol=1e-9, atol=1e-11)


def test_the_factor_is_that_of_the_published_code(make_algorithm):
    few, many = (
        make_algorithm("baseline++"),
        make_algorithm("baseline++", pooled=type(make_algorithm("maml").objective)(201)),
    )
    assert few.pooled_model.network.head.factor == few.model.network.head.factor == 2
    assert (many.pooled_model.network.head.factor, many.model.network.head.factor) == (10, 2)


def test_regression_is_refused_with_a_way_out(make_algorithm):
    mlp = MLP(MLP.Options(hidden=(4,), norm=False))
    with pytest.raises(ConfigError, match="cannot be run on regression; try pretrain"):
        make_algorithm("baseline++", backbone=mlp, shape=(1,), objective=Regression(), pooled=Regression())
