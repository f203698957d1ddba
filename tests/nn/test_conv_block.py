"""Convolution, batch norm and ReLU in one: the numbers of the layers one after the other."""

import pytest
import torch
from torch.func import functional_call, vmap

from mamlbench.api import (
    BatchNorm,
    BatchNormReLU,
    ConvBlocks,
    Convolution,
    grad,
    grad_and_value,
    record_statistics,
    replay_statistics,
    vmap_context,
)
from mamlbench.nn import kernels

TASKS = 3
needs_kernels = pytest.mark.skipif(
    not kernels.available(torch.device("cpu"), torch.float64),
    reason=f"no compiled kernels: {kernels.kernels_in_use()}",
)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def network():
    torch.manual_seed(0)
    first = Convolution(1, 8, 3, stride=2, padding=1, bias=False)
    second = Convolution(8, 9, (3, 2), stride=(1, 2), padding=(0, 1), bias=False)
    layers = ConvBlocks(first, BatchNormReLU(8), torch.nn.Identity(), second, BatchNormReLU(9), torch.nn.Flatten())
    return layers.double().requires_grad_(False)


@pytest.fixture
def calls(monkeypatch):
    """How often blocks were computed as one."""
    from mamlbench.nn import conv_block as module

    counted, whole = [], module.conv_block
    monkeypatch.setattr(module, "conv_block", lambda *layers: counted.append(1) or whole(*layers))
    return counted


def parameters(network, *, own):
    shape = (TASKS,) if own else ()
    return {name: random(*shape, *value.shape, seed=1) for name, value in network.named_parameters()}


def outer_loss(network, weights, x, rate=0.3):
    """MAML's: the loss after one step on half of the examples, on the other half."""

    def loss(weights, x):
        return (functional_call(network, weights, (x,)) - 0.4).pow(3).mean()

    slope = grad(loss)(weights, x[:4])
    return loss({name: value - rate * slope[name] for name, value in weights.items()}, x[4:])


def outer_gradient(network, weights, x, *, own):
    """Of the sum over tasks, by plain autograd around ``vmap``, as the engine has it."""
    weights = {name: value.clone().requires_grad_() for name, value in weights.items()}
    of_task = vmap(lambda w, x: outer_loss(network, w, x), in_dims=(0 if own else None, 0))
    return torch.autograd.grad(of_task(weights, x).sum(), list(weights.values()))


@needs_kernels
@pytest.mark.parametrize("own", [True, False], ids=["own weights", "shared weights"])
def test_second_derivatives(network, calls, own):
    weights, x = parameters(network, own=own), random(TASKS, 8, 1, 9, 8)
    expected = outer_gradient(network, weights, x, own=own)
    assert not calls
    with vmap_context(TASKS):
        ours = outer_gradient(network, weights, x, own=own)
    assert len(calls) == 4
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other)


@needs_kernels
def test_a_bias_of_each_task_with_shared_filters(network, calls):
    x, weights = random(TASKS, 8, 1, 9, 8), parameters(network, own=True)
    shared = {name: value[0] for name, value in weights.items() if value.ndim == 5}
    own = {name: value for name, value in weights.items() if name not in shared}

    def gradients():
        leaves = {name: value.clone().requires_grad_() for name, value in (shared | own).items()}
        dims = ({name: None if name in shared else 0 for name in leaves}, 0)
        losses = vmap(lambda w, x: functional_call(network, w, (x,)).pow(2).sum().sqrt(), in_dims=dims)(leaves, x)
        return torch.autograd.grad(losses.sum(), list(leaves.values()))

    expected = gradients()
    with vmap_context(TASKS):
        ours = gradients()
    assert len(calls) == 2
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other)


@needs_kernels
def test_statistics_are_recorded_and_replayed(network, calls):
    x, weights = random(TASKS, 4, 1, 9, 8), parameters(network, own=True)

    def both(w, x):
        with record_statistics() as statistics:
            functional_call(network, w, (x,))
        with replay_statistics(statistics):
            return functional_call(network, w, (x[:1],))

    expected = vmap(both)(weights, x)
    with vmap_context(TASKS, twice=False):
        torch.testing.assert_close(vmap(both)(weights, x), expected)
    assert len(calls) == 2  # what is replayed goes through the layers


def test_layers_one_after_the_other_elsewhere(network, calls):
    """Outside, in one task, under a second vmap or a transform of torch.func, and where a layer is of another kind."""
    x, weights = random(TASKS, 4, 1, 9, 8), parameters(network, own=True)
    expected = vmap(lambda w, x: functional_call(network, w, (x,)))(weights, x)
    loss = lambda w, x: functional_call(network, w, (x,)).square().sum()  # noqa: E731
    slopes = vmap(torch.func.grad(loss))(weights, x)
    with vmap_context(TASKS):
        each = [functional_call(network, {n: v[t] for n, v in weights.items()}, (x[t],)) for t in range(TASKS)]
        torch.testing.assert_close(torch.stack(each), expected)
        twice = vmap(lambda w, x: vmap(lambda x: functional_call(network, w, (x,)))(x[None]))(weights, x)
        torch.testing.assert_close(twice[:, 0], expected)
        for name, value in vmap(torch.func.grad(loss))(weights, x).items():
            torch.testing.assert_close(value, slopes[name])
    layers = (Convolution(1, 8, 3, bias=True), BatchNormReLU(8), Convolution(8, 9, 1, bias=False), BatchNorm(9))
    other = ConvBlocks(*layers).double().requires_grad_(False)
    with vmap_context(TASKS):
        vmap(other)(x)
    assert not calls


def test_a_third_derivative_is_refused(network):
    if not kernels.available(torch.device("cpu"), torch.float64):
        pytest.skip(kernels.kernels_in_use())
    x, weights = random(TASKS, 8, 1, 9, 8), parameters(network, own=True)
    weights = {name: value.requires_grad_() for name, value in weights.items()}
    with vmap_context(TASKS):
        losses = vmap(lambda w, x: outer_loss(network, w, x))(weights, x)  # with a first derivative inside
        slope = torch.autograd.grad(losses.sum(), weights["0.weight"], create_graph=True)[0]
        with pytest.raises(NotImplementedError, match="third derivatives"):
            slope.sum().backward()


def test_gradients_inside_vmap_are_those_of_torch():
    """By reverse mode over all tasks: with shared and own tensors, an unused one and one that is closed over."""
    own, shared, x = random(TASKS, 4), random(4, seed=1), random(TASKS, 4, seed=2)

    def loss(at, x):
        own, shared, _ = at
        return ((own * shared).sin() * x * own).sum()

    at, dims = (own, shared, shared), ((0, None, None), 0)
    expected = vmap(torch.func.grad_and_value(loss), in_dims=dims)(at, x)
    ours = vmap(grad_and_value(loss), in_dims=dims)(at, x)
    for one, other in zip((*ours[0], ours[1]), (*expected[0], expected[1]), strict=True):
        torch.testing.assert_close(one, other)
    closed = vmap(lambda own, x: grad(lambda at: loss((at, shared, own), x) * own.sum())(own))(own, x)
    by_torch = vmap(lambda own, x: torch.func.grad(lambda at: loss((at, shared, own), x) * own.sum())(own))(own, x)
    torch.testing.assert_close(closed, by_torch)
    constant = vmap(grad(lambda at: torch.ones(())))(own)
    assert torch.equal(constant, torch.zeros_like(own))


def test_no_graph_is_kept_where_nothing_is_differentiated_again():
    with torch.no_grad():
        gradient, value = vmap(grad_and_value(lambda x: x.square().sum()))(random(TASKS, 4))
    assert gradient.grad_fn is None and value.grad_fn is None and not gradient.requires_grad
