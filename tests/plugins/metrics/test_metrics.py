"""Each metric against a reference written the slow way: one episode, one example, one class after the other."""

import math

import numpy as np
import pytest
import torch

from mamlbench.plugin import load_plugins

METRICS = load_plugins().registry


def metric(name):
    return METRICS.load("metric", name)()


def episodes(tasks=40, n=15, ways=5, *, sharpness=1.5, seed=0):
    """Outputs that are right more often than not, and labels: ``[T, n, ways]`` and ``[T, n]``."""
    random = torch.Generator().manual_seed(seed)
    y = torch.arange(n).remainder(ways).expand(tasks, n)[:, torch.randperm(n, generator=random)]
    outputs = torch.randn(tasks, n, ways, generator=random)
    return outputs + sharpness * torch.nn.functional.one_hot(y, ways), y.contiguous()


def accuracy(outputs, y):
    return float(np.mean(outputs.argmax(-1) == y))


def worst_class_accuracy(outputs, y):
    return min(float(np.mean(outputs[y == label].argmax(-1) == label)) for label in set(y.tolist()))


def macro_f1(outputs, y):
    """As sklearn.metrics.f1_score(y, predicted, average="macro", zero_division=0)."""
    predicted = outputs.argmax(-1)
    scores = []
    for label in sorted({*y.tolist(), *predicted.tolist()}):
        right = int(np.sum((predicted == label) & (y == label)))
        precision = right / max(int(np.sum(predicted == label)), 1)
        recall = right / max(int(np.sum(y == label)), 1)
        scores.append(0.0 if right == 0 else 2 * precision * recall / (precision + recall))
    return float(np.mean(scores))


def probabilities(outputs):
    exponentials = np.exp(outputs.astype(float) - outputs.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def negative_log_likelihood(outputs, y):
    return float(np.mean([-math.log(row[label]) for row, label in zip(probabilities(outputs), y, strict=True)]))


def expected_calibration_error(outputs, y, bins=15):
    """Guo et al. 2017, equation 3, with the bins of their published code: (low, high]."""
    shares = probabilities(outputs)
    confidence, right = shares.max(-1), shares.argmax(-1) == y
    error = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


REFERENCES = {
    "accuracy": accuracy,
    "worst-class accuracy": worst_class_accuracy,
    "macro F1": macro_f1,
    "negative log-likelihood": negative_log_likelihood,
    "expected calibration error": expected_calibration_error,
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("n", "ways", "sharpness"), [(5, 5, 0.0), (15, 5, 1.5), (75, 5, 4.0), (40, 20, 2.0)])
def test_a_metric_of_classification_equals_its_reference_in_every_episode(name, n, ways, sharpness):
    outputs, y = episodes(n=n, ways=ways, sharpness=sharpness)
    expected = [REFERENCES[name](episode.numpy(), labels.numpy()) for episode, labels in zip(outputs, y, strict=True)]
    scores = metric(name).compute(outputs, y)
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-6)
    assert len(set(expected)) > 1 or (name, n) == ("worst-class accuracy", 5), "a constant would pass"


@pytest.mark.parametrize("name", ["macro F1", "worst-class accuracy"])
def test_a_class_without_queries_does_not_count(name):
    outputs = torch.tensor([[[3.0, 0, 0], [0, 3, 0], [0, 3, 0]]])
    y = torch.tensor([[0, 1, 0]])
    assert float(metric(name).compute(outputs, y)) == pytest.approx(REFERENCES[name](outputs[0].numpy(), y[0].numpy()))


def test_errors_of_regression():
    outputs, y = torch.tensor([[[1.0], [3.0]], [[0.0], [0.0]]]), torch.tensor([[[2.0], [0.0]], [[0.0], [1.0]]])
    torch.testing.assert_close(metric("mean squared error").compute(outputs, y), torch.tensor([5.0, 0.5]))
    torch.testing.assert_close(metric("mean absolute error").compute(outputs, y), torch.tensor([2.0, 0.5]))


def test_every_metric_is_registered_under_its_own_name():
    for name in METRICS.names("metric"):
        assert metric(name).name == name


def test_half_precision_keeps_the_digits_of_a_mean_of_logarithms():
    outputs, y = episodes()
    exact = metric("negative log-likelihood").compute(outputs.bfloat16().float(), y)
    torch.testing.assert_close(metric("negative log-likelihood").compute(outputs.bfloat16(), y), exact)
