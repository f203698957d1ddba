"""Gradients that are let go where nothing differentiates them, and are torch.func's everywhere else."""

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


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) and not ours[name].requires_grad for name in ours)


def test_the_last_gradient_is_that_of_torch(at):
    expected, value = torch.func.grad_and_value(loss)(at, X)
    with torch.no_grad():
        gradient, told = grad_and_value(loss)(at, X)
        assert same(gradient, expected) and same(grad(loss)(at, X), expected)
    assert torch.equal(told, value) and not told.requires_grad
    assert not any(tensor.requires_grad for tensor in at.values())


def test_its_backward_pass_is_let_go(at, monkeypatch):
    kept = []
    plain = torch.autograd.grad

    def watched(*arguments, create_graph=False, **given):
        kept.append(create_graph)
        return plain(*arguments, create_graph=create_graph, **given)

    monkeypatch.setattr(torch.autograd, "grad", watched)
    with torch.no_grad():
        grad(loss)(at, X)
    grad(loss)(at, X)
    assert kept == [False, True]


def test_a_derivative_of_it_is_right(at, forward_mode):
    def slope(a):
        return grad(loss)({**at, "a": a}, X)["a"]

    a = at["a"]
    expected = -a.sin() * X
    torch.testing.assert_close(torch.func.grad(lambda a: slope(a).sum())(a), expected)
    with torch.no_grad():  # as engines call it: the outer one is the last, the inner one is not
        torch.testing.assert_close(grad(lambda a: slope(a).sum())(a), expected)
        torch.testing.assert_close(torch.func.jvp(slope, (a,), (a,))[1], expected * a)


def test_it_can_be_mapped_over_tasks(at):
    xs = torch.stack([X, 2 * X])
    with torch.no_grad():
        mapped = vmap(lambda x: grad(loss)(at, x)["a"])(xs)
        torch.testing.assert_close(mapped[1], grad(loss)(at, xs[1])["a"])


def test_what_the_loss_does_not_depend_on_has_a_slope_of_zero(at):
    with torch.no_grad():
        gradient, value = grad_and_value(lambda at: torch.ones(()))(at)
        assert value == 1 and all(torch.equal(slope, torch.zeros_like(at[name])) for name, slope in gradient.items())


@pytest.mark.parametrize("switched_off", [True, False])
def test_what_is_pulled_back_is_the_vector_jacobian_product(at, switched_off):
    def function(at):
        return [at["a"].exp(), at["c"], torch.ones(2)]

    slope = [X, torch.ones(3), torch.ones(2)]
    _, back = torch.func.vjp(function, at)
    with torch.set_grad_enabled(not switched_off):
        assert same(vjp(function, at, slope), back(slope)[0])


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TASKS = 3


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
