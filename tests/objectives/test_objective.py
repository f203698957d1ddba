import math

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
