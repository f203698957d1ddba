"""The implicit gradient against the exact one, where that is known."""

import pytest
import torch

from mamlbench.api import Backbone, EpisodeBatch, Examples, Options, Parameters, Regression
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench_plugins.algorithms.imaml import conjugate_gradient

TASKS, EXAMPLES, WIDTH, STRENGTH = 3, 8, 3, 0.7


class Linear(Backbone):
    """Nothing but the head: with squared error every loss is a quadratic of its weights."""

    def features(self, input_shape):
        return torch.nn.Flatten(), WIDTH


def quadratic_batch():
    generator = torch.Generator().manual_seed(5)

    def examples():
        x, y = (torch.randn(TASKS, EXAMPLES, n, generator=generator, dtype=torch.float64) for n in (WIDTH, 1))
        return Examples(x, y)

    return EpisodeBatch(examples(), examples(), torch.arange(TASKS))


def make_quadratic(make_algorithm, engine=None, **options):
    small = {"backbone": Linear(Options()), "shape": (WIDTH,), "objective": Regression(), "pooled": Regression()}
    return make_algorithm("imaml", engine, prox_strength=STRENGTH, **small, **options)


def exact(theta, support, query):
    """φ* and dL(φ*)/dθ of one task, from the normal equations. The last of ``theta`` is the bias."""

    def design(x):
        return torch.cat([x, torch.ones_like(x[:, :1])], 1)

    hessian = 2 * design(support.x).T @ design(support.x) / EXAMPLES
    eye = torch.eye(WIDTH + 1, dtype=torch.float64)
    slope_at_zero = -2 * design(support.x).T @ support.y[:, 0] / EXAMPLES
    phi = torch.linalg.solve(hessian + STRENGTH * eye, STRENGTH * theta - slope_at_zero)
    error = design(query.x) @ phi - query.y[:, 0]
    v = 2 * design(query.x).T @ error / EXAMPLES
    return phi, torch.linalg.solve(eye + hessian / STRENGTH, v), error.square().mean()


def flat(parameters):
    return torch.cat([parameters["head.weight"].flatten(), parameters["head.bias"].flatten()])


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine(), VmapEngine(chunk=2)], ids=lambda engine: engine.name)
def test_the_implicit_gradient_is_exact_on_a_quadratic(make_algorithm, engine):
    algorithm = make_quadratic(make_algorithm, engine, inner_lr=0.2, train_steps=400, cg_steps=WIDTH + 1)
    batch = quadratic_batch()
    expected, losses = torch.zeros(WIDTH + 1, dtype=torch.float64), 0.0
    for task in range(TASKS):
        parts = (Examples(part.x[task], part.y[task]) for part in (batch.support, batch.query))
        _, gradient, loss = exact(flat(algorithm.meta), *parts)
        expected += gradient
        losses += float(loss)
    update = algorithm.compute_update(batch)
    torch.testing.assert_close(flat(update.sums), expected, rtol=1e-8, atol=1e-10)
    assert float(update.loss) == pytest.approx(losses, rel=1e-9)


def test_more_conjugate_gradient_iterations_come_nearer(make_algorithm):
    batch = quadratic_batch()
    reference = flat(make_quadratic(make_algorithm, inner_lr=0.2, cg_steps=WIDTH + 1).compute_update(batch).sums)
    errors = [
        float(
            (
                flat(make_quadratic(make_algorithm, inner_lr=0.2, cg_steps=n).compute_update(batch).sums) - reference
            ).norm()
        )
        for n in (1, 2, 3)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


def test_adaptation_goes_to_the_solution_near_the_initialization(make_algorithm):
    algorithm, batch = make_quadratic(make_algorithm, inner_lr=0.2, test_steps=400), quadratic_batch()
    states = algorithm.adapt(batch.support, batch.keys).states
    for task in range(TASKS):
        support = Examples(batch.support.x[task], batch.support.y[task])
        phi, *_ = exact(flat(algorithm.meta), support, support)
        ours = flat({name: value[task] for name, value in states.items()})
        torch.testing.assert_close(ours, phi, rtol=1e-8, atol=1e-10)


def test_the_engines_agree_on_a_network(make_algorithm, make_batch):
    updates = [
        make_algorithm("imaml", engine, train_steps=3).compute_update(make_batch())
        for engine in (LoopEngine(), VmapEngine())
    ]
    for name, value in updates[0].sums.items():
        torch.testing.assert_close(updates[1].sums[name], value, rtol=1e-9, atol=1e-11)


def test_conjugate_gradients_stay_at_an_exact_solution():
    b = Parameters(x=torch.tensor([1.0, 2.0], dtype=torch.float64))
    solution = conjugate_gradient(lambda p: 4 * p, b, 5)
    torch.testing.assert_close(solution["x"], b["x"] / 4)
