"""Gradients equal those of torch.func, and free their graph if nothing differentiates them."""

import pytest
import torch
from torch.func import vmap

from mamlbench.api import grad, grad_and_value, vjp


def loss(at, x):
    return (at["a"].sin() * x).sum() + at["b"].square().sum()


@pytest.fixture
def at():
    return {
        "a": torch.linspace(0, 1, 4, dtype=torch.float64),
        "b": torch.ones(2, dtype=torch.float64),
        "c": torch.ones(3),
    }


X = torch.linspace(1, 2, 4, dtype=torch.float64)


def same(computed, expected):
    assert computed.keys() == expected.keys()
    return all(torch.equal(computed[name], expected[name]) for name in computed) and not any(
        value.requires_grad for value in computed.values()
    )


def test_an_outermost_gradient_equals_torchs(at):
    expected, value = torch.func.grad_and_value(loss)(at, X)
    with torch.no_grad():
        gradient, returned = grad_and_value(loss)(at, X)
        assert same(gradient, expected) and same(grad(loss)(at, X), expected)
    assert torch.equal(returned, value) and not returned.requires_grad
    assert not any(tensor.requires_grad for tensor in at.values())


def test_the_graph_of_an_outermost_gradient_is_freed(at, monkeypatch):
    create_graphs = []
    original = torch.autograd.grad

    def recorded(*arguments, create_graph=False, **options):
        create_graphs.append(create_graph)
        return original(*arguments, create_graph=create_graph, **options)

    monkeypatch.setattr(torch.autograd, "grad", recorded)
    with torch.no_grad():
        grad(loss)(at, X)
    grad(loss)(at, X)
    assert create_graphs == [False, True]


def test_a_gradient_can_be_differentiated(at, forward_mode):
    def gradient(a):
        return grad(loss)({**at, "a": a}, X)["a"]

    a = at["a"]
    expected = -a.sin() * X
    torch.testing.assert_close(torch.func.grad(lambda a: gradient(a).sum())(a), expected)
    with torch.no_grad():  # as engines call it: the outer gradient is outermost, the inner one is not
        torch.testing.assert_close(grad(lambda a: gradient(a).sum())(a), expected)
        torch.testing.assert_close(torch.func.jvp(gradient, (a,), (a,))[1], expected * a)


def test_a_gradient_can_be_mapped_over_tasks(at):
    xs = torch.stack([X, 2 * X])
    with torch.no_grad():
        mapped = vmap(lambda x: grad(loss)(at, x)["a"])(xs)
        torch.testing.assert_close(mapped[1], grad(loss)(at, xs[1])["a"])


def test_unused_parameters_have_a_gradient_of_zero(at):
    with torch.no_grad():
        gradient, value = grad_and_value(lambda at: torch.ones(()))(at)
        assert value == 1 and all(torch.equal(part, torch.zeros_like(at[name])) for name, part in gradient.items())


@pytest.mark.parametrize("switched_off", [True, False])
def test_vjp_equals_torchs(at, switched_off):
    def function(at):
        return [at["a"].exp(), at["c"], torch.ones(2)]

    cotangent = [X, torch.ones(3), torch.ones(2)]
    _, back = torch.func.vjp(function, at)
    with torch.set_grad_enabled(not switched_off):
        assert same(vjp(function, at, cotangent), back(cotangent)[0])


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TASKS = 3


def test_gradients_inside_vmap_equal_torchs():
    """With tensors of each task and shared ones, an unused one and one that is closed over."""
    own, shared, x = random(TASKS, 4), random(4, seed=1), random(TASKS, 4, seed=2)

    def loss(at, x):
        own, shared, _ = at
        return ((own * shared).sin() * x * own).sum()

    at, dims = (own, shared, shared), ((0, None, None), 0)
    expected = vmap(torch.func.grad_and_value(loss), in_dims=dims)(at, x)
    computed = vmap(grad_and_value(loss), in_dims=dims)(at, x)
    for one, other in zip((*computed[0], computed[1]), (*expected[0], expected[1]), strict=True):
        torch.testing.assert_close(one, other)
    closed = vmap(lambda own, x: grad(lambda at: loss((at, shared, own), x) * own.sum())(own))(own, x)
    by_torch = vmap(lambda own, x: torch.func.grad(lambda at: loss((at, shared, own), x) * own.sum())(own))(own, x)
    torch.testing.assert_close(closed, by_torch)
    constant = vmap(grad(lambda at: torch.ones(())))(own)
    assert torch.equal(constant, torch.zeros_like(own))


def test_outermost_gradients_inside_vmap_have_no_graph():
    with torch.no_grad():
        gradient, value = vmap(grad_and_value(lambda x: x.square().sum()))(random(TASKS, 4))
    assert gradient.grad_fn is None and value.grad_fn is None and not gradient.requires_grad
