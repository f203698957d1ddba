"""Inner optimizers equal those of torch.optim, and can be mapped over tasks and differentiated."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import grad, vmap
from torch.utils import _pytree as pytree

from mamlbench.api import InnerAdam, InnerSGD, Parameters

STEPS = 50


def start(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Parameters(
        a=torch.randn(3, 2, generator=generator, dtype=torch.float64),
        b=torch.randn(4, generator=generator, dtype=torch.float64),
    )


def loss(theta):
    """A nonconvex loss whose curvature differs by a factor of 100 between its parameters."""
    return (theta["a"] ** 2).sum() + 100 * (theta["b"] - theta["a"].mean() ** 2).square().sum() + theta["b"].sin().sum()


def run(optimizer, theta, gradients):
    """Parameters after every step."""
    state, path = optimizer.init(theta), []
    for gradient in gradients:
        theta, state = optimizer.step(theta, gradient, state)
        path.append(theta)
    assert float(state.steps) == len(gradients)
    return path


def run_torch(make, theta, gradients):
    """Parameters after every step of torch's optimizer."""
    leaves = {name: value.clone().requires_grad_() for name, value in theta.items()}
    optimizer, path = make(leaves.values()), []
    for gradient in gradients:
        for name, leaf in leaves.items():
            leaf.grad = gradient[name].clone()
        optimizer.step()
        path.append({name: value.detach().clone() for name, value in leaves.items()})
    return path


def three_steps(optimizer, theta):
    """Parameters after three steps down ``loss``."""
    state = optimizer.init(theta)
    for _ in range(3):
        theta, state = optimizer.step(theta, grad(loss)(theta), state)
    return theta


def assert_same_path(path, reference):
    for theta, expected in zip(path, reference, strict=True):
        for name, value in expected.items():
            torch.testing.assert_close(theta[name], value, rtol=1e-10, atol=1e-12)


GRADIENTS = [start(100 + number) for number in range(STEPS)]


@given(
    lr=st.floats(1e-5, 0.1),
    momentum=st.sampled_from([0.0, 0.3, 0.9]),
    dampening=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    weight_decay=st.sampled_from([0.0, 1e-3, 0.1]),
    seed=st.integers(0, 3),
)
def test_sgd_equals_torchs(lr, momentum, dampening, weight_decay, seed):
    settings = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
    reference = run_torch(lambda leaves: torch.optim.SGD(leaves, lr, **settings), start(seed), GRADIENTS)
    assert_same_path(run(InnerSGD(lr, **settings), start(seed), GRADIENTS), reference)


@given(
    lr=st.floats(1e-5, 0.1),
    beta1=st.sampled_from([0.0, 0.5, 0.9]),
    beta2=st.sampled_from([0.0, 0.9, 0.999]),
    epsilon=st.sampled_from([1e-8, 1e-3]),
    seed=st.integers(0, 3),
)
def test_adam_equals_torchs(lr, beta1, beta2, epsilon, seed):
    reference = run_torch(lambda leaves: torch.optim.Adam(leaves, lr, (beta1, beta2), epsilon), start(seed), GRADIENTS)
    assert_same_path(run(InnerAdam(lr, beta1, beta2, epsilon), start(seed), GRADIENTS), reference)


def test_differentiable_or_not_the_steps_are_the_same():
    with_zeros = [{"a": gradient["a"].clone().fill_(0), "b": gradient["b"]} for gradient in GRADIENTS]
    for gradients in (GRADIENTS, [Parameters(gradient) for gradient in with_zeros]):
        plain = run(InnerAdam(0.01, differentiable=False), start(), gradients)
        for theta, expected in zip(run(InnerAdam(0.01), start(), gradients), plain, strict=True):
            assert all(torch.equal(value, theta[name]) for name, value in expected.items())


OPTIMIZERS = [
    InnerSGD(1e-3),
    InnerSGD(1e-3, momentum=0.9, dampening=0.5, weight_decay=0.01),
    InnerAdam(0.01),
    InnerAdam(0.01, beta1=0),
    InnerAdam(0.01, beta1=0, differentiable=False),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_nothing_is_changed_in_place(optimizer):
    theta = start()
    state = optimizer.init(theta)
    theta, state = optimizer.step(theta, grad(loss)(theta), state)
    before = pytree.tree_map(torch.clone, (theta, state))
    optimizer.step(theta, grad(loss)(theta), state)
    assert all(map(torch.equal, pytree.tree_leaves((theta, state)), pytree.tree_leaves(before)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_vectorized_over_tasks_equals_a_loop(optimizer):
    tasks = pytree.tree_map(lambda *values: torch.stack(values), *(start(seed) for seed in range(3)))
    computed = vmap(lambda theta: three_steps(optimizer, theta))(tasks)
    for task in range(3):
        expected = three_steps(optimizer, start(task))
        for name, value in expected.items():
            torch.testing.assert_close(computed[name][task], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_the_gradient_through_the_steps_equals_central_differences(optimizer):
    def after(theta):
        return loss(three_steps(optimizer, theta))

    computed, theta, h = grad(after)(start()), start(), 1e-6
    for name, value in theta.items():
        for index in range(value.numel()):
            unit = torch.zeros_like(value)
            unit.view(-1)[index] = h
            ahead, behind = (after(theta | {name: value + sign * unit}) for sign in (1, -1))
            expected = float((ahead - behind) / (2 * h))
            assert float(computed[name].view(-1)[index]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_a_weight_without_gradient_has_no_nan_second_order_gradient(beta1):
    """Its second moment is 0, where the root has an infinite derivative."""
    optimizer = InnerAdam(0.01, beta1)

    def after(theta):
        state = optimizer.init(theta)
        for _ in range(2):
            theta, state = optimizer.step(theta, grad(lambda theta: (theta["a"] ** 2).sum())(theta), state)
        return (theta["a"] ** 2).sum() + theta["b"].sum()

    gradient = grad(after)(start())
    assert torch.equal(gradient["b"], torch.ones_like(gradient["b"]))
    assert bool(gradient["a"].isfinite().all())


@pytest.mark.parametrize("kind", [InnerSGD, InnerAdam])
def test_each_tensor_may_have_its_own_rate(kind):
    rates = Parameters(a=torch.tensor(0.01), b=torch.full((4,), 0.001, dtype=torch.float64))
    theta = start()
    optimizer = kind(rates)
    computed, _ = optimizer.step(theta, grad(loss)(theta), optimizer.init(theta))
    for name, rate in (("a", 0.01), ("b", 0.001)):
        single = kind(rate)
        expected, _ = single.step(theta, grad(loss)(theta), single.init(theta))
        torch.testing.assert_close(computed[name], expected[name], rtol=1e-6, atol=1e-9)


def test_unused_moments_are_empty():
    assert not InnerSGD(0.1).init(start()).velocity
    assert not InnerAdam(0.1, beta1=0).init(start()).first
    assert InnerSGD(0.1, momentum=0.9).init(start()).velocity.keys() == start().keys()
