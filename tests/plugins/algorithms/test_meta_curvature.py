"""Meta-Curvature: identities give MAML, and other matrices multiply along each dimension."""

import pytest
import torch

from mamlbench.api import Examples, Parameters
from mamlbench_plugins.algorithms.meta_curvature import identities, transform


def test_it_starts_as_maml(make_algorithm, make_batch):
    curved, maml = (make_algorithm(name, inner_lr=0.3, train_steps=2) for name in ("meta-curvature", "maml"))
    batch = make_batch()
    update, of_maml = (method.compute_update(batch) for method in (curved, maml))
    assert float(update.loss) == pytest.approx(float(of_maml.loss), rel=1e-10)
    for name, value in of_maml.sums.items():
        torch.testing.assert_close(update.sums[name], value, rtol=1e-8, atol=1e-11)
    learned = [name for name in update.sums if name not in of_maml.sums]
    assert learned and all(float(update.sums[name].abs().max()) > 0 for name in learned)


@pytest.mark.parametrize("shape", [(5,), (5, 4), (5, 4, 3, 3)], ids=str)
def test_a_gradient_is_multiplied_along_each_dimension(shape):
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(*shape, generator=generator, dtype=torch.float64)
    curvature = Parameters(
        {
            f"{part}.w": torch.randn(value.shape, generator=generator, dtype=torch.float64)
            for part, value in identities(gradient).items()
        }
    )
    moved = transform(gradient, curvature, "w")
    if len(shape) == 1:
        by_hand = curvature["out.w"] * gradient
    elif len(shape) == 2:
        by_hand = torch.einsum("ao,bi,oi->ab", curvature["out.w"], curvature["in.w"], gradient)
    else:
        flat = torch.einsum(
            "ao,bi,cf,oif->abc", curvature["out.w"], curvature["in.w"], curvature["filter.w"], gradient.flatten(2)
        )
        by_hand = flat.view_as(gradient)
    torch.testing.assert_close(moved, by_hand, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        transform(gradient, Parameters({f"{k}.w": v for k, v in identities(gradient).items()}), "w"), gradient
    )


def test_a_step_descends_the_transformed_gradient(make_algorithm, make_batch):
    algorithm, maml = make_algorithm("meta-curvature", inner_lr=0.3), make_algorithm("maml", inner_lr=0.3)
    batch = make_batch(tasks=1)
    support = Examples(batch.support.x[0], batch.support.y[0])
    algorithm.meta["out.head.bias"].fill_(2.0)
    state = algorithm.step(algorithm.init(algorithm.meta, support), support)
    plain = maml.step(maml.init(maml.meta, support), support)
    moved, expected = (result["head.bias"] - maml.meta["head.bias"] for result in (state.theta, plain))
    torch.testing.assert_close(moved, 2 * expected, rtol=1e-9, atol=1e-12)
