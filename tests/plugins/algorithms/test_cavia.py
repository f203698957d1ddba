"""CAVIA: context parameters as inputs of the first layer, or as the modulation of a batch norm."""

import pytest
import torch
from torch.nn.functional import linear, relu

from mamlbench.api import Examples, Regression
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.conv4 import StridedConv4
from mamlbench_plugins.backbones.mlp import MLP

WAVES = {"shape": (1,), "objective": Regression(), "pooled": Regression()}


def waves(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Examples(*(torch.randn(5, 1, generator=generator, dtype=torch.float64) for _ in range(2)))


def test_on_points_the_context_is_appended_to_the_input(make_algorithm):
    algorithm = make_algorithm("cavia", backbone=MLP(MLP.Options(hidden=(6, 4), norm=False)), context_size=3, **WAVES)
    support, meta = waves(), algorithm.meta
    phi = torch.randn(3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state = algorithm.init(meta, support)._replace(context={"phi": phi})
    wide = torch.cat([meta["features.1.weight"], meta["context.features.1.bias"]], 1)  # [6, 1 + 3]
    hidden = relu(linear(torch.cat([support.x, phi.expand(5, 3)], 1), wide, meta["features.1.bias"]))
    hidden = relu(linear(hidden, meta["features.3.weight"], meta["features.3.bias"]))
    by_hand = linear(hidden, meta["head.weight"], meta["head.bias"])
    outputs = algorithm.model(algorithm.parameters(state), support.x)
    torch.testing.assert_close(outputs, by_hand, rtol=1e-10, atol=1e-12)


def test_a_step_changes_the_context_alone(make_algorithm):
    algorithm = make_algorithm(
        "cavia", backbone=MLP(MLP.Options(hidden=(6,), norm=False)), context_size=3, inner_lr=0.5, **WAVES
    )
    support = waves()
    start = algorithm.init(algorithm.meta, support)
    assert not start.context["phi"].any()
    after = algorithm.step(start, support)
    phi = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    loss = algorithm.loss(start._replace(context={"phi": phi}), support)
    (gradient,) = torch.autograd.grad(loss, [phi])
    torch.testing.assert_close(after.context["phi"], -0.5 * gradient, rtol=1e-10, atol=1e-12)
    changed = {
        name for name, value in algorithm.parameters(after).items() if not torch.equal(value, algorithm.meta[name])
    }
    assert changed == {"features.1.bias"}


@pytest.mark.parametrize("scale", [False, True])
def test_on_images_it_modulates_the_third_batch_norm(make_algorithm, make_batch, scale):
    algorithm = make_algorithm(
        "cavia", backbone=StridedConv4(StridedConv4.Options(width=4, scale=scale)), context_size=5
    )
    assert set(algorithm.entries) == {"features.7.bias", *(["features.7.weight"] if scale else [])}
    batch = make_batch(tasks=1)
    state = algorithm.init(algorithm.meta, Examples(batch.support.x[0], batch.support.y[0]))
    phi = torch.arange(5, dtype=torch.float64) / 5
    changed = algorithm.parameters(state._replace(context={"phi": phi}))
    shift = algorithm.meta["context.features.7.bias"] @ phi
    torch.testing.assert_close(changed["features.7.bias"], algorithm.meta["features.7.bias"] + shift)
    if scale:
        factor = 1 + algorithm.meta["context.features.7.weight"] @ phi
        torch.testing.assert_close(changed["features.7.weight"], algorithm.meta["features.7.weight"] * factor)


def test_the_compiled_kernels_take_a_modulation_of_each_task(make_algorithm, make_batch):
    """W φ of all tasks is a transposed matrix in memory; from eight filters on, kernels compute the layer."""
    batch, wide = make_batch(), StridedConv4(StridedConv4.Options(width=8, scale=True))
    vectorized, reference = (
        make_algorithm("cavia", engine, backbone=wide, train_steps=2).compute_update(batch)
        for engine in (VmapEngine(), LoopEngine(plain=True))
    )
    assert float(vectorized.loss) == pytest.approx(float(reference.loss), rel=1e-9)
    for key, value in vectorized.sums.items():
        torch.testing.assert_close(value, reference.sums[key], rtol=1e-9, atol=1e-11)


def test_a_network_without_a_place_for_the_context_is_refused(make_algorithm):
    class Bare(MLP):
        def features(self, input_shape):
            return torch.nn.Flatten(), input_shape[0]

    with pytest.raises(ConfigError, match="CAVIA needs a batch norm"):
        make_algorithm("cavia", backbone=Bare(MLP.Options(hidden=(4,))), **WAVES)
