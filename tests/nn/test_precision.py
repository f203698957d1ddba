"""bf16: which operations run in bfloat16, and that vectorized tasks equal single ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import grad, vmap

from mamlbench.api import BatchNorm, Model, Network, record_statistics
from mamlbench.nn import fast_layers, kernels
from mamlbench.nn.precision import ROUNDING, bf16_autocast, bf16_is_on, in_precision, parameter_dtype
from mamlbench.run_spec import MODES, PRECISIONS

CPU = torch.device("cpu")
T, N, WAYS = 3, 6, 4
SHAPE = (2, 9, 9)
UNIT = ROUNDING["bf16"]


def network():
    torch.manual_seed(0)
    block = (nn.Conv2d(2, 8, 3, stride=2, bias=False), BatchNorm(8), nn.ReLU())
    return Network(nn.Sequential(*block, nn.Conv2d(8, 4, 3), BatchNorm(4), nn.Flatten()), nn.Linear(16, WAYS), SHAPE)


def examples(tasks=T, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(tasks, N, *SHAPE, generator=generator), torch.arange(N).remainder(WAYS).expand(tasks, -1)


def difference(tensor, reference):
    return float((tensor - reference).norm() / reference.norm())


def gradients(model, *, second_order):
    """Gradient of the summed losses after an inner step: tasks vectorized, and one by one."""
    x, y = examples()
    parameters = model.initial_parameters()

    def loss(parameters, x, y):
        return F.cross_entropy(model(parameters, x), y)

    def outer(parameters, x, y):
        gradient = grad(loss)(parameters, x, y)
        adapted = {n: parameters[n] - 0.1 * (g if second_order else g.detach()) for n, g in gradient.items()}
        return loss(adapted, x, y)

    def vectorized(parameters):
        return vmap(lambda x, y: outer(parameters, x, y))(x, y).sum()

    def one_by_one(parameters):
        return sum(outer(parameters, x[task], y[task]) for task in range(T))

    return tuple(torch.cat([v.flatten() for v in grad(f)(parameters).values()]) for f in (vectorized, one_by_one))


def test_outputs_are_in_float32_and_differ_by_roundings_of_bfloat16():
    x, _ = examples()
    single, rounded = Model(network()), Model(network(), bf16=True)
    parameters = single.initial_parameters()
    expected, outputs = single(parameters, x[0]), rounded(parameters, x[0])
    assert outputs.dtype == torch.float32
    assert UNIT / 20 < difference(outputs, expected) < 5 * UNIT
    features = rounded.features(parameters, x[0])
    assert features.dtype == torch.float32
    assert torch.equal(rounded.head(parameters, features), outputs)


@pytest.mark.parametrize("mode", MODES)
def test_vectorized_tasks_are_computed_in_bfloat16_like_single_ones(mode):
    model, (x, _) = Model(network(), bf16=True), examples()
    parameters, query = model.initial_parameters(), examples(seed=1)[0]
    outputs = vmap(lambda x, query: model.predict(parameters, x, query, mode))(x, query)
    alone = torch.stack([model.predict(parameters, x[task], query[task], mode) for task in range(T)])
    exact = Model(network())
    reference = vmap(lambda x, query: exact.predict(parameters, x, query, mode))(x, query)
    assert difference(outputs, alone) < UNIT
    assert difference(outputs, reference) > UNIT / 20, "computed in float32"


@pytest.mark.parametrize("convolution", [F.conv2d, F.conv_transpose2d], ids=lambda f: f.__name__)
@pytest.mark.parametrize("shared", [True, False])
def test_every_convolution_is_cast_under_vmap_too(convolution, shared):
    x, w = torch.rand(T, N, 2, 6, 6), torch.rand(T, 2, 2, 3, 3)

    def compute(x, w):
        with bf16_autocast(CPU):
            return convolution(x, w)

    outputs = vmap(compute, in_dims=(0, None))(x, w[0]) if shared else vmap(compute)(x, w)
    assert outputs.dtype == torch.bfloat16


@pytest.mark.parametrize("second_order", [True, False])
def test_gradients_are_in_float32_and_near_the_exact_ones(second_order):
    exact, _ = gradients(Model(network()), second_order=second_order)
    vectorized, one_by_one = gradients(Model(network(), bf16=True), second_order=second_order)
    for computed in (vectorized, one_by_one):
        assert computed.dtype == torch.float32
        assert UNIT / 20 < difference(computed, exact) < 0.3


@pytest.mark.parametrize("bf16", [True, False])
def test_the_compiled_kernels_leave_bfloat16_to_torch(monkeypatch, bf16):
    calls = []
    model, (x, _) = Model(network(), bf16=bf16), examples()
    assert "convolution + batch norm + ReLU" in model.fusion.replaced
    monkeypatch.setattr(kernels, "available", lambda device, dtype: True)
    zeros = (torch.zeros(N, 8, 4, 4), torch.zeros(8), torch.ones(8))
    monkeypatch.setattr(fast_layers, "conv_block", lambda *inputs, **rows: calls.append(1) or zeros)
    with torch.no_grad():
        vmap(lambda x: model(model.initial_parameters(), x))(x)
    assert bool(calls) is not bf16


def test_statistics_of_batch_norm_are_collected_in_float32():
    model, (x, _) = Model(network(), bf16=True), examples()
    for mean, variance in model.statistics(model.initial_parameters(), x[0]):
        assert mean.dtype == variance.dtype == torch.float32
    layer = BatchNorm(3)
    with record_statistics() as collected, bf16_autocast(CPU):
        normalized = layer((1000 + torch.rand(50, 3)).bfloat16())
    assert normalized.dtype == torch.float32
    assert collected[0][0].dtype == torch.float32


def test_autocast_ends_with_its_block_also_after_an_error():
    with pytest.raises(RuntimeError), bf16_autocast(CPU):
        assert bf16_is_on(CPU)
        torch.rand(2, 3) @ torch.rand(2, 3)
    assert not bf16_is_on(CPU)
    assert F.conv2d(torch.rand(1, 1, 3, 3), torch.rand(1, 1, 3, 3)).dtype == torch.float32


@pytest.mark.parametrize("precision", PRECISIONS)
def test_examples_and_parameters_have_one_type_and_labels_stay(precision):
    x, y = in_precision((torch.rand(2, 3), torch.arange(2)), precision)
    assert x.dtype == parameter_dtype(precision) and y.dtype == torch.int64
    assert (x.dtype == torch.float64) == (precision == "float64")
