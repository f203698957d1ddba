import math

import pytest
import torch

from mamlbench.api import Classification, Regression


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_classification_loss_is_the_negative_log_probability():
    outputs, y = random(6, 4), torch.tensor([0, 1, 2, 3, 1, 1])
    problem = Classification(4)
    expected = [-math.log(outputs[i].exp()[y[i]] / outputs[i].exp().sum()) for i in range(6)]
    torch.testing.assert_close(problem.losses(outputs, y), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(problem.loss(outputs, y), torch.tensor(sum(expected) / 6, dtype=torch.float64))
    assert problem.outputs == 4


def test_regression_loss_is_the_mean_squared_error():
    outputs, y = random(6, 2), torch.zeros(6, 2, dtype=torch.float64)
    problem = Regression(2)
    torch.testing.assert_close(problem.losses(outputs, y), (outputs[:, 0] ** 2 + outputs[:, 1] ** 2) / 2)
    torch.testing.assert_close(problem.loss(outputs, y), outputs.square().mean())
    assert Regression().outputs == 1


def test_accuracy_is_the_share_of_right_answers_per_task():
    outputs = torch.tensor([[[1.0, 2], [3, 0], [0, 1]], [[0, 1], [0, 1], [0, 1]]])
    y = torch.tensor([[1, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(Classification(2).score(outputs, y), torch.tensor([2 / 3, 0]))


def test_regression_scores_each_task():
    outputs, y = random(3, 5, 2), random(3, 5, 2) + 2
    torch.testing.assert_close(Regression(2).score(outputs, y), torch.full((3,), 4.0, dtype=torch.float64))


@pytest.mark.parametrize(("problem", "higher"), [(Classification(5), True), (Regression(), False)])
def test_better_follows_the_direction_of_the_metric(problem, higher):
    assert problem.metric.higher_is_better is higher
    assert problem.metric.better(2.0, 1.0) is higher
    assert problem.metric.better(1.0, 2.0) is not higher
    assert not problem.metric.better(1.0, 1.0)
    assert not problem.metric.better(math.nan, 1.0)
