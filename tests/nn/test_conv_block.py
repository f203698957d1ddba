"""Convolution, batch norm and ReLU in one function against torch's three functions."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import vmap

from mamlbench.nn import kernels
from mamlbench.nn.conv_block import conv_block
from mamlbench.nn.kernels import Geometry

TASKS, EPS = 3, 1e-5
needs_kernels = pytest.mark.skipif(
    not kernels.available(torch.device("cpu"), torch.float64),
    reason=f"no compiled kernels: {kernels.kernels_in_use()}",
)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


CASES = {"strided": ((1, 8), (3, 3), (2, 2), (1, 1)), "uneven": ((3, 9), (3, 2), (1, 2), (0, 1))}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    """Geometry, and the shapes of one task's parameters by name."""
    (channels, outputs), kernel, stride, padding = request.param
    shapes = {"w": (outputs, channels, *kernel), "a": (outputs,), "b": (outputs,)}
    return Geometry((9, 8), kernel, stride, padding), shapes


def fused(geometry):
    return lambda p, x: conv_block(x, p["w"], (p.get("a"), p["b"]), geometry, EPS)


def plain(geometry):
    """The block by definition."""

    def compute(p, x):
        c = F.conv2d(x, p["w"], None, geometry.stride, geometry.padding)
        variance, mean = torch.var_mean(c, (0, 2, 3), correction=0)
        z = F.batch_norm(c, None, None, None, None, True, 0.0, EPS)
        scaled = z * p["a"].view(-1, 1, 1) if "a" in p else z
        return F.relu(scaled + p["b"].view(-1, 1, 1)), mean, (variance + EPS).rsqrt()

    return compute


def draw(shapes, own, *, weighted=True):
    """Random parameters; those named in ``own`` are of each task, the others shared."""
    named = {name: shape for name, shape in shapes.items() if weighted or name != "a"}
    return {
        name: random(*((TASKS, *shape) if name in own else shape), seed=number)
        for number, (name, shape) in enumerate(named.items())
    }


def dims_of(parameters, shapes):
    return {name: 0 if value.ndim > len(shapes[name]) else None for name, value in parameters.items()}


def gradients(block, parameters, shapes, x):
    """Outputs, first derivatives by x and all parameters, and second ones of a nonlinear function of both."""
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    x = x.clone().requires_grad_()
    outputs = vmap(block, in_dims=(dims_of(parameters, shapes), 0))(leaves, x)[0]
    first = torch.autograd.grad(outputs.sin().sum(), [x, *leaves.values()], create_graph=True)
    curved = sum((gradient * random(*gradient.shape, seed=9)).sum() for gradient in first) + outputs.square().sum()
    return outputs, *first, *torch.autograd.grad(curved, [x, *leaves.values()])


@needs_kernels
@pytest.mark.parametrize("weighted", [True, False], ids=["with a scale", "without"])
@pytest.mark.parametrize("own", ["wab", "", "ab", "w"], ids=["own", "shared", "shared filters", "shared norm"])
def test_first_and_second_derivatives(case, own, weighted):
    geometry, shapes = case
    parameters, x = draw(shapes, own, weighted=weighted), random(TASKS, 4, shapes["w"][1], *geometry.size, seed=7)
    for one, other in zip(
        gradients(fused(geometry), parameters, shapes, x),
        gradients(plain(geometry), parameters, shapes, x),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@needs_kernels
def test_statistics(case):
    geometry, shapes = case
    parameters, x = draw(shapes, "wab"), random(TASKS, 4, shapes["w"][1], *geometry.size, seed=7)
    for one, other in zip(vmap(fused(geometry))(parameters, x), vmap(plain(geometry))(parameters, x), strict=True):
        torch.testing.assert_close(one, other)


@needs_kernels
def test_missing_cotangents(case):
    """A second derivative of a gradient by one parameter alone."""
    geometry, shapes = case
    for name in "wab":
        results = []
        for block in (fused(geometry), plain(geometry)):
            leaves = {key: value.requires_grad_() for key, value in draw(shapes, "wab").items()}
            outputs = vmap(block)(leaves, random(TASKS, 4, shapes["w"][1], *geometry.size, seed=7))[0]
            gradient = torch.autograd.grad(outputs.sin().sum(), leaves[name], create_graph=True)[0]
            results.append(torch.autograd.grad(gradient.square().sum(), list(leaves.values())))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)


@needs_kernels
def test_a_third_derivative_is_refused(case):
    geometry, shapes = case
    leaves = {key: value.requires_grad_() for key, value in draw(shapes, "wab").items()}
    outputs = vmap(fused(geometry))(leaves, random(TASKS, 4, shapes["w"][1], *geometry.size, seed=7))[0]
    first = torch.autograd.grad(outputs.sin().sum(), leaves["w"], create_graph=True)[0]
    second = torch.autograd.grad(first.square().sum(), leaves["w"], create_graph=True)[0]
    with pytest.raises(NotImplementedError, match="third derivatives"):
        second.sum().backward()
