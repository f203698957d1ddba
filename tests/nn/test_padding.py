"""Padding: a task that is filled up has the outputs, statistics and gradients of the task alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import vmap

from mamlbench.api import BatchNorm, Examples, Model, Network, grad
from mamlbench.engine.vmap import VmapEngine
from mamlbench.nn.batch_norm import record_statistics
from mamlbench.nn.padding import filled_up, padded_tasks
from mamlbench.objectives.objective import ClassificationOfFirst, ClassificationOfPadded

WAYS = 4


def network(kind):
    torch.manual_seed(0)
    if kind == "linear":
        features = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), BatchNorm(8, scale=True), nn.ReLU())
        return Network(features, nn.Linear(8, WAYS), (1, 6, 6)).double()
    stride, pool = (2, nn.Identity()) if kind == "strided" else (1, nn.MaxPool2d(2))
    layers = [nn.Conv2d(1, 8, 3, stride, 1), BatchNorm(8), nn.ReLU(), pool]
    layers += [nn.Conv2d(8, 8, 3, stride, 1), BatchNorm(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Network(nn.Sequential(*layers), nn.Linear(8, WAYS), (1, 6, 6)).double()


def task(ways, shots, seed):
    x = torch.randn(1, ways * shots, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Examples(x, torch.arange(ways).repeat(shots)[None])


def adapted_loss(model, objective, parameters, support, query):
    """The query loss after a step, whose gradient is of the second order."""
    gradient = grad(lambda p: objective.loss(model(p, support.x), support.y))(parameters)
    return objective.loss(model(parameters - 0.5 * gradient, query.x), query.y)


@pytest.mark.parametrize("kind", ["strided", "pooled", "linear"])
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(2, WAYS), st.integers(1, 3)), min_size=2, max_size=4))
def test_losses_and_second_order_gradients_are_those_of_the_tasks_alone(kind, sizes):
    engine = VmapEngine()
    engine.second_order = True
    model = Model(network(kind), engine)
    parameters = model.initial_parameters()
    supports = [task(*size, seed) for seed, size in enumerate(sizes)]
    queries = [task(ways, 2, 100 + ways) for ways, _ in sizes]
    ways = [ways for ways, _ in sizes]

    def total(objective, support, query):
        def of_all(parameters):
            one = vmap(lambda s, q: adapted_loss(model, objective, parameters, s, q))
            return one(support, query).sum()

        return torch.func.grad_and_value(of_all)(parameters)

    with padded_tasks():
        gradient, loss = total(ClassificationOfPadded(WAYS), filled_up(supports, ways), filled_up(queries, ways))
    alone = [total(ClassificationOfFirst(n), *one) for n, *one in zip(ways, supports, queries, strict=True)]
    torch.testing.assert_close(loss, sum(value for _, value in alone), rtol=1e-10, atol=1e-10)
    for name, value in gradient.items():
        expected = sum(part[name] for part, _ in alone)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", ["strided", "pooled", "linear"])
def test_statistics_are_those_of_the_examples_that_there_are(kind):
    model = Model(network(kind))
    parameters, alone = model.initial_parameters(), task(2, 2, 0)
    x = filled_up([alone, task(4, 3, 1)], [2, 4]).x[0]
    with padded_tasks(), record_statistics() as statistics:
        outputs = model(parameters, x)
    with record_statistics() as expected:
        assert torch.allclose(outputs[:4], model(parameters, alone.x[0]), rtol=1e-10, atol=1e-12)
    assert not outputs[4:].any()
    for values, others in zip(statistics, expected, strict=True):
        torch.testing.assert_close(values, others, rtol=1e-10, atol=1e-12)


def test_padding_anywhere_changes_nothing():
    model, alone = Model(network("strided")), task(3, 2, 0)
    parameters, nothing = model.initial_parameters(), torch.full((1, 1, 6, 6), float("nan"), dtype=torch.float64)
    x = torch.cat([nothing, alone.x[0, :2], nothing, alone.x[0, 2:]])
    with padded_tasks():
        outputs = vmap(lambda x: model(parameters, x))(torch.stack([x, x]))
    torch.testing.assert_close(outputs[1, [1, 2, 4, 5, 6, 7]], model(parameters, alone.x[0]), rtol=1e-10, atol=1e-12)


def test_padding_that_is_forgotten_is_seen():
    model = Model(network("strided"))
    x = filled_up([task(2, 1, 0), task(3, 1, 1)], [2, 3]).x[0]
    assert model(model.initial_parameters(), x).isnan().any()
