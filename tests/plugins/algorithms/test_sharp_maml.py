"""Sharp-MAML: gradients at the highest loss nearby, in the inner and the outer loop."""

import pytest
import torch

from mamlbench.api import Examples, Parameters
from mamlbench_plugins.algorithms.sharp_maml import uphill


def test_without_radii_it_is_maml(make_algorithm, make_batch):
    batch = make_batch()
    sharp, maml = make_algorithm("sharp-maml", inner_radius=0.0), make_algorithm("maml")
    update, of_maml = sharp.compute_update(batch), maml.compute_update(batch)
    assert float(update.loss) == float(of_maml.loss)
    assert all(torch.equal(update.sums[name], value) for name, value in of_maml.sums.items())


def test_an_inner_step_descends_the_loss_of_the_ascent(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("sharp-maml", inner_radius=0.5, inner_lr=0.3), make_batch(tasks=1)
    support = Examples(batch.support.x[0], batch.support.y[0])
    theta = algorithm.meta.select(algorithm.adapted)

    def gradient_at(values):
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        loss = torch.nn.functional.cross_entropy(algorithm.model(algorithm.meta | leaves, support.x), support.y)
        return Parameters(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    first = gradient_at(theta)
    length = torch.sqrt(sum(value.square().sum() for value in first.values()))
    second = gradient_at(theta + first * (0.5 / length))
    state = algorithm.step(algorithm.init(algorithm.meta, support), support)
    for name, value in (theta - 0.3 * second).items():
        torch.testing.assert_close(state[name], value, rtol=1e-8, atol=1e-11)


def test_the_outer_step_takes_the_meta_gradient_uphill(make_algorithm, make_batch):
    batch = make_batch()
    plain, sharp = (make_algorithm("sharp-maml", inner_radius=0.01, outer_radius=r) for r in (0.0, 0.2))
    assert plain.additive and not sharp.additive
    moved = plain.meta + uphill(Parameters(plain.compute_update(batch).sums), 0.2)
    plain.meta = moved
    expected, update = plain.compute_update(batch), sharp.compute_update(batch)
    assert float(update.loss) == pytest.approx(float(expected.loss), rel=1e-10)
    for name, value in expected.sums.items():
        torch.testing.assert_close(update.sums[name], value, rtol=1e-9, atol=1e-12)


def test_uphill_has_the_length_of_the_radius_and_no_direction_at_zero():
    gradient = Parameters({"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])})
    assert float(uphill(gradient, 0.5).dot(uphill(gradient, 0.5)).sqrt()) == pytest.approx(0.5)
    assert not any(value.any() for value in uphill(gradient * 0.0, 0.5).values())
