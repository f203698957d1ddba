"""Arithmetic on named tensors equals torch's, tensor by tensor, inside every transform."""

import copy
import operator
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn
from torch.func import functional_call, grad, vjp, vmap
from torch.utils import _pytree as pytree

from mamlbench.api import Parameters
from mamlbench.engine import LoopEngine, VmapEngine

OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]


def make(seed=0, **extra):
    generator = torch.Generator().manual_seed(seed)
    return Parameters(
        a=torch.rand(3, 2, generator=generator, dtype=torch.float64) + 0.5,
        b=torch.rand(4, generator=generator, dtype=torch.float64) + 0.5,
        **extra,
    )


def assert_equal(computed, expected):
    assert type(computed) is Parameters and list(computed) == list(expected)
    assert all(torch.equal(computed[name], value) for name, value in expected.items())


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("other", [make(1), dict(make(1))], ids=["Parameters", "dict"])
def test_two_operands_are_combined_name_by_name(operation, other):
    theta = make()
    assert_equal(operation(theta, other), {name: operation(theta[name], other[name]) for name in theta})
    assert_equal(operation(other, theta), {name: operation(other[name], theta[name]) for name in theta})


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("number", [2, 0.25, torch.tensor(3.0), torch.tensor(3.0, dtype=torch.float64)], ids=repr)
def test_a_number_is_combined_with_every_tensor(operation, number):
    theta = make()
    assert_equal(operation(theta, number), {name: operation(value, number) for name, value in theta.items()})
    assert_equal(operation(number, theta), {name: operation(number, value) for name, value in theta.items()})


@given(st.floats(-10, 10), st.integers(0, 5))
def test_a_gradient_step_is_written_as_in_a_paper(lr, seed):
    theta, gradient = make(seed), make(seed + 1)
    assert_equal(theta - lr * gradient, {name: theta[name] - lr * gradient[name] for name in theta})


def test_the_result_has_the_order_of_the_left_operand():
    theta, other = make(), Parameters(reversed(make(1).items()))
    assert_equal(theta + other, {name: theta[name] + other[name] for name in theta})


@pytest.mark.parametrize("other", [Parameters(), make(1, c=torch.ones(1)), Parameters(b=torch.ones(4))])
def test_other_names_are_refused(other):
    with pytest.raises(ValueError, match=r"the same names; only one has [abc]"):
        make() - other
    with pytest.raises(ValueError, match="the same names"):
        make().dot(other)


def test_replacing_selecting_and_mapping():
    theta, zeros = make(), torch.zeros(4, dtype=torch.float64)
    assert_equal(theta | {"b": zeros, "c": zeros}, {"a": theta["a"], "b": zeros, "c": zeros})
    assert_equal(theta.select(["b"]), {"b": theta["b"]})
    assert_equal(theta.select(name for name in ("b", "a")), {"b": theta["b"], "a": theta["a"]})
    assert_equal(-theta.map(torch.sqrt), {name: -value.sqrt() for name, value in theta.items()})
    assert list(theta) == ["a", "b"], "nothing is changed in place"
    with pytest.raises(KeyError, match="c"):
        theta.select(["a", "c"])


def test_dot_is_the_inner_product():
    one, other = make(), make(1)
    flat = [torch.cat([tensors["a"].flatten(), tensors["b"]]) for tensors in (one, other)]
    torch.testing.assert_close(one.dot(other), flat[0] @ flat[1])
    assert one.dot(other).shape == ()


def loss(theta):
    return (theta["a"] ** 3).sum() + (theta["b"] ** 2).sum() * theta["a"].mean()


def test_gradients_are_parameters_and_can_be_differentiated_again():
    theta, direction = make(), make(1)
    expected = grad(loss)(dict(theta))
    assert_equal(grad(loss)(theta), expected)

    def product_along(theta):
        return grad(loss)(theta).dot(direction)

    _, symmetric = vjp(grad(loss), dict(theta))
    product = grad(product_along)(theta)
    for name, value in symmetric(dict(direction))[0].items():
        torch.testing.assert_close(product[name], value)
    _, pull_back = vjp(lambda theta: theta - 0.1 * grad(loss)(theta), theta)
    _, pull_back_plain = vjp(lambda t: {n: t[n] - 0.1 * g for n, g in grad(loss)(t).items()}, dict(theta))
    assert_equal(pull_back(direction)[0], pull_back_plain(dict(direction))[0])


def test_steps_can_be_mapped_over_tasks():
    tasks = pytree.tree_map(lambda *values: torch.stack(values), make(0), make(1), make(2))
    rates = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)

    def step(theta, rate):
        return theta - rate * grad(loss)(theta)

    computed = vmap(step)(tasks, rates)
    for task in range(3):
        expected = step(make(task), rates[task])
        for name, value in expected.items():
            torch.testing.assert_close(computed[name][task], value)
    assert type(computed) is Parameters


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine(), VmapEngine(chunk=2)], ids=lambda engine: engine.name)
def test_engines_return_parameters(engine):
    theta = make()
    computed = engine.map(lambda x: x * theta, torch.arange(3.0, dtype=torch.float64))
    assert_equal(
        computed, {name: torch.stack([number * value for number in range(3)]) for name, value in theta.items()}
    )


def test_modules_files_and_copies_treat_parameters_as_a_dictionary():
    layer = nn.Linear(2, 3).double()
    weights = Parameters({name: 2 * value.detach() for name, value in layer.named_parameters()})
    x = torch.rand(5, 2, dtype=torch.float64)
    torch.testing.assert_close(functional_call(layer, weights, (x,)), 2 * layer(x).detach())
    for other in (load(save(weights)), copy.deepcopy(weights), pickle.loads(pickle.dumps(weights))):
        assert_equal(Parameters(other).select(weights), weights)


def test_torch_compile_traces_it_as_one_graph():
    compiled = torch.compile(lambda theta: theta - 0.1 * grad(loss)(theta), backend="eager", fullgraph=True)
    assert_equal(compiled(make()), make() - 0.1 * grad(loss)(make()))
