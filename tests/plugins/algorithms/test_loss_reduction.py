"""The option ``loss_reduction``, in training and at test with equal and with other shots."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mamlbench.api import Backbone, Options, Regression
from mamlbench_plugins.algorithms.loss_reduction import query_loss, support_loss

METHODS = ["maml", "fomaml", "anil", "meta-sgd", "maml++"]
WAYS = 3


class Linear(Backbone):
    """Features of one layer, for regression."""

    def features(self, input_shape):
        return nn.Sequential(nn.Linear(1, 4), nn.Tanh()), 4


def one_task(examples):
    return type(examples)(examples.x[0], examples.y[0])


def predictions(make_algorithm, name, batch, **options):
    """Outputs of a method trained with 2 shots, for the queries after 0, 1 and 2 steps on the batch's support sets."""
    algorithm = make_algorithm(name, shots=2, test_steps=2, **options)
    adaptation = algorithm.adaptation(batch.support, batch.keys)
    return torch.stack([tasks.predict(batch.query.x, "transductive") for tasks in adaptation])


@pytest.mark.parametrize("shots", [1, 2, 5])
@pytest.mark.parametrize("name", METHODS)
def test_at_any_shots_per_shot_adapts_as_the_mean_at_ways_times_the_rate(make_algorithm, make_batch, name, shots):
    batch = make_batch(tasks=2, ways=WAYS, shots=shots)
    per_shot = predictions(make_algorithm, name, batch, inner_lr=0.1, loss_reduction="per-shot")
    mean = predictions(make_algorithm, name, batch, inner_lr=0.1 * WAYS, loss_reduction="mean")
    assert float((per_shot[2] - per_shot[0]).abs().max()) > 0.01
    torch.testing.assert_close(per_shot, mean, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shots", [1, 3])
def test_the_inner_gradient_is_that_of_the_sum_over_classes_of_the_class_means(make_algorithm, make_batch, shots):
    algorithm = make_algorithm("maml", shots=2, inner_lr=0.1, loss_reduction="per-shot", adapt_norm=True)
    support = one_task(make_batch(tasks=1, ways=WAYS, shots=shots).support)
    theta = {name: value.clone().requires_grad_() for name, value in algorithm.meta.items()}
    losses = F.cross_entropy(algorithm.model(theta, support.x), support.y, reduction="none")
    expected = sum(losses[support.y == label].mean() for label in range(WAYS))
    gradient = torch.autograd.grad(expected, list(theta.values()))
    stepped = algorithm.step(algorithm.meta, support)
    for (name, value), part in zip(algorithm.meta.items(), gradient, strict=True):
        torch.testing.assert_close(stepped[name], value - 0.1 * part, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_with_the_shots_of_training_the_loss_is_the_sum_divided_by_them_to_the_last_digit(make_algorithm, shots):
    algorithm = make_algorithm("maml", shots=shots, loss_reduction="per-shot")
    generator = torch.Generator().manual_seed(shots)
    outputs, y = torch.randn(WAYS * shots, WAYS, generator=generator), torch.arange(WAYS).repeat(shots)
    expected = F.cross_entropy(outputs, y, reduction="none").sum() / shots
    assert torch.equal(support_loss(algorithm, outputs, y), expected)
    assert torch.equal(query_loss(algorithm, outputs, y), expected)


def test_the_query_loss_is_divided_by_the_shots_of_the_support_set_and_not_of_the_queries(make_algorithm):
    algorithm = make_algorithm("maml", shots=2, loss_reduction="per-shot")
    outputs, y = torch.zeros(15 * WAYS, WAYS), torch.arange(WAYS).repeat(15)
    assert float(query_loss(algorithm, outputs, y)) == pytest.approx(15 * WAYS / 2 * torch.tensor(3.0).log().item())


def test_in_regression_all_support_examples_are_shots_of_one_function(make_algorithm):
    algorithm = make_algorithm(
        "maml", backbone=Linear(Options()), shape=(1,), objective=Regression(2), shots=5, loss_reduction="per-shot"
    )
    outputs, y = torch.zeros(10, 2), torch.full((10, 2), 3.0)
    assert float(support_loss(algorithm, outputs, y)) == pytest.approx(9.0)
