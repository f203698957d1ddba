"""MetaOptNet: the SVM's optimality conditions and derivative, and the ridge regression, by hand."""

import pytest
import torch
from torch.nn.functional import one_hot

from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench_plugins.algorithms.multiclass_svm import solve_svm


def problem(seed=0, examples=9, ways=3, width=4):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(examples, width, generator=generator, dtype=torch.float64)
    return features, one_hot(torch.arange(examples) % ways, ways).double()


def kernel_of(features):
    return features @ features.T + torch.eye(len(features), dtype=features.dtype)


def dual(kernel, labels, alpha):
    """(10), to be maximized."""
    return float((alpha * labels).sum() - (alpha * (kernel @ alpha)).sum() / 2)


def ascend(kernel, labels, cost, steps=4000):
    """The dual by projected gradient ascent: β = C Y − α is projected to the simplex of each example."""
    alpha, rate = torch.zeros_like(labels), 1 / float(torch.linalg.eigvalsh(kernel)[-1])
    for _ in range(steps):
        beta = cost * labels - (alpha + rate * (labels - kernel @ alpha))
        ordered = beta.sort(descending=True).values
        excess = (ordered.cumsum(-1) - cost) / torch.arange(1, beta.shape[1] + 1)
        level = excess.gather(1, (ordered > excess).sum(-1, keepdim=True) - 1)
        alpha = cost * labels - (beta - level).clamp_min(0)
    return alpha


@pytest.mark.parametrize("cost", [0.05, 0.1, 2.0])
def test_the_svm_is_solved(cost):
    features, labels = problem()
    kernel = kernel_of(features)
    alpha = solve_svm(kernel, labels, cost, 15)
    torch.testing.assert_close(alpha.sum(1), torch.zeros(len(labels), dtype=torch.float64), rtol=0, atol=1e-8)
    assert bool((alpha <= cost * labels + 1e-8).all()), "inside the borders"
    reference = ascend(kernel, labels, cost)
    torch.testing.assert_close(alpha, reference, rtol=0, atol=1e-5)
    assert dual(kernel, labels, alpha) == pytest.approx(dual(kernel, labels, reference), abs=1e-7)


def test_its_derivative_is_that_of_the_solution():
    features, labels = problem(1)
    direction = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def value(features):
        return (solve_svm(kernel_of(features), labels, 0.1, 20) * direction).sum()

    gradient = torch.func.grad(value)(features)
    for index in ((0, 0), (3, 2), (8, 1)):
        step = torch.zeros_like(features)
        step[index] = 1e-5
        difference = (value(features + step) - value(features - step)) / 2e-5
        assert float(gradient[index]) == pytest.approx(float(difference), rel=1e-4, abs=1e-7)


def test_few_steps_are_enough_in_single_precision():
    features, labels = (value.float() for value in problem(2, examples=25, ways=5, width=64))
    alpha = solve_svm(kernel_of(features), labels, 0.1, 10)
    exact = solve_svm(kernel_of(features.double()), labels.double(), 0.1, 30)
    assert float((alpha - exact).abs().max()) < 1e-4


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
@pytest.mark.parametrize("learner", ["svm", "ridge"])
def test_the_head_is_the_learners(make_algorithm, make_batch, engine, learner):
    algorithm, batch = make_algorithm("metaoptnet", engine, learner=learner, ridge=0.5, cost=0.2), make_batch(tasks=2)
    algorithm.meta["learned.scale"].fill_(3.0)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    for task in range(2):
        support, query = (algorithm.model.features(algorithm.meta, part.x[task]) for part in batch[:2])
        labels = one_hot(batch.support.y[task], 3).double()
        if learner == "svm":
            alpha = ascend(kernel_of(support), labels, 0.2)
        else:
            alpha = torch.linalg.inv(support @ support.T + 0.5 * torch.eye(6, dtype=torch.float64)) @ labels
        torch.testing.assert_close(outputs[task], 3.0 * query @ support.T @ alpha, rtol=1e-4, atol=1e-5)


def test_smoothed_labels_share_epsilon_among_the_other_classes(make_algorithm):
    algorithm = make_algorithm("metaoptnet", smoothing=0.1)
    outputs, y = torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64), torch.tensor([2])
    log_p = outputs.log_softmax(-1)[0]
    by_hand = -(0.9 * log_p[2] + 0.05 * log_p[0] + 0.05 * log_p[1])
    assert float(algorithm.outer_loss(outputs, y)) == pytest.approx(float(by_hand))
