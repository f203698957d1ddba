"""Logistic regression against scipy's minimizer, and against the linear probe, which solves the same problem."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mamlbench.api import Regression
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.logistic import newton_direction


def objective(flat, features, y, penalty, ways=3):
    """The penalized mean cross-entropy of weights and biases ``[N * (d + 1)]``."""
    w = flat.reshape(ways, -1)
    logits = features @ w[:, :-1].T + w[:, -1]
    logits -= logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean() + penalty / 2 * (w[:, :-1] ** 2).sum()


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
@pytest.mark.parametrize("strength", [1.0, 100.0])
def test_it_is_at_the_optimum(make_algorithm, make_batch, engine, strength):
    algorithm, batch = make_algorithm("logistic", engine, inverse_penalty=strength), make_batch(tasks=2, shots=3)
    adapted = algorithm.adapt(batch.support, batch.keys)
    for task in range(2):
        x, y = batch.support.x[task], batch.support.y[task]
        features = torch.nn.functional.normalize(algorithm.model.features(algorithm.meta, x)).numpy()
        arguments = (features, y.numpy(), 1 / (strength * len(y)))
        best = minimize(objective, np.zeros(3 * (features.shape[1] + 1)), arguments, tol=1e-12).fun
        head = adapted.states.head
        own = torch.cat([head["head.weight"][task], head["head.bias"][task][:, None]], 1).numpy().ravel()
        assert objective(own, *arguments) == pytest.approx(best, abs=1e-8)


def test_it_predicts_what_many_steps_of_the_linear_probe_predict(make_algorithm, make_batch):
    batch = make_batch(tasks=3)
    probe, exact = make_algorithm("linear-probe", test_steps=300), make_algorithm("logistic")
    outputs = [one.adapt(batch.support, batch.keys).predict(batch.query.x, "inductive") for one in (probe, exact)]
    torch.testing.assert_close(outputs[0].softmax(-1), outputs[1].softmax(-1), rtol=1e-3, atol=1e-3)


def test_no_step_makes_the_objective_worse(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("logistic", inverse_penalty=1e6, test_steps=20), make_batch(tasks=1)
    x, y = batch.support.x[0], batch.support.y[0].numpy()
    features = torch.nn.functional.normalize(algorithm.model.features(algorithm.meta, x)).numpy()
    values = []
    for adapted in list(algorithm.adaptation(batch.support, batch.keys))[1:]:
        head = adapted.states.head
        own = torch.cat([head["head.weight"][0], head["head.bias"][0][:, None]], 1).numpy().ravel()
        values.append(objective(own, features, y, 1e-6 / len(y)))
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(values))


def test_newtons_direction_solves_a_quadratic_problem_at_once():
    inputs, y = torch.eye(4, dtype=torch.float64)[:, :3], torch.tensor([0, 1, 0, 1])
    at = torch.zeros(2, 3, dtype=torch.float64)
    direction = newton_direction(inputs, y, at, 1e6)  # the penalty decides alone: one step is the optimum
    gradient = (torch.full((4, 2), 0.5) - torch.nn.functional.one_hot(y, 2)).double().T @ inputs / 4
    torch.testing.assert_close(direction[:, :2], -gradient[:, :2] / 1e6, rtol=1e-4, atol=1e-12)


def test_regression_is_refused(make_algorithm):
    with pytest.raises(ConfigError, match="method of classification"):
        make_algorithm("logistic", objective=Regression(1))
