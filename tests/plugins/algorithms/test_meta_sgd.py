"""Meta-SGD: MAML's gradient at equal rates, and the gradient by the rates against finite differences."""

import pytest
import torch
from torch import nn

from mamlbench.api import Backbone, BatchNorm, Options
from mamlbench.engine import LoopEngine, VmapEngine

ENGINES = [LoopEngine(), VmapEngine()]


class Smooth(Backbone):
    """No kinks, so that finite differences mean something."""

    def features(self, input_shape):
        return nn.Sequential(nn.Flatten(), nn.Linear(9, 4), BatchNorm(4), nn.Tanh()), 4


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("adapt_norm", [False, True])
def test_equal_rates_give_mamls_meta_gradient(make_algorithm, make_batch, engine, adapt_norm):
    options = {"inner_lr": 0.3, "train_steps": 2, "adapt_norm": adapt_norm}
    ours = make_algorithm("meta-sgd", engine, **options).compute_update(make_batch())
    reference = make_algorithm("maml", engine, **options).compute_update(make_batch())
    assert float(ours.loss) == pytest.approx(float(reference.loss), rel=1e-10)
    for name, value in reference.sums.items():
        torch.testing.assert_close(ours.sums[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_gradient_by_the_rates_equals_central_differences(make_algorithm, make_batch, steps):
    small = {"backbone": Smooth(Options()), "shape": (1, 3, 3)}
    algorithm, batch = make_algorithm("meta-sgd", inner_lr=0.5, train_steps=steps, **small), make_batch(shape=(1, 3, 3))
    sums, h = algorithm.compute_update(batch).sums, 1e-5
    for name in ("alpha.features.1.weight", "alpha.head.weight", "alpha.head.bias"):
        rates, ours = algorithm.meta[name].view(-1), sums[name].view(-1)
        for place in range(0, rates.numel(), 5):
            rate, losses = rates[place].item(), []
            for sign in (1, -1):
                rates[place] = rate + sign * h
                losses.append(float(algorithm.compute_update(batch).loss))
            rates[place] = rate
            assert float(ours[place]) == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=1e-5, abs=1e-8)


def test_every_adapted_weight_has_a_rate_that_is_learned_and_used(make_algorithm, make_batch):
    algorithm = make_algorithm("meta-sgd", outer_optimizer="sgd", outer_lr=1.0)
    rates = {name: value.clone() for name, value in algorithm.meta.items() if name.startswith("alpha.")}
    assert {name.removeprefix("alpha.") for name in rates} == set(algorithm.adapted)
    assert not set(algorithm.adapted) & algorithm.model.norm_names
    algorithm.apply(algorithm.compute_update(make_batch()))
    assert all(bool((algorithm.meta[name] != value).any()) for name, value in rates.items())
    batch = make_batch(tasks=1)
    support = type(batch.support)(batch.support.x[0], batch.support.y[0])
    start = algorithm.init(algorithm.meta, support)
    still = start._replace(alpha={name: torch.zeros_like(value) for name, value in start.alpha.items()})
    for name, value in algorithm.step(still, support).theta.items():
        assert torch.equal(value, algorithm.meta[name])
