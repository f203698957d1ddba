"""The compiled kernels give torch's numbers."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.nn import kernels

pytestmark = pytest.mark.skipif(
    not kernels.available(torch.device("cpu"), torch.float64),
    reason=f"no compiled kernels: {kernels.kernels_in_use()}",
)
EPS = 1e-5


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@st.composite
def convolutions(draw):
    """Tasks, examples, channels in and out, and a geometry in which at least one pixel comes out."""
    small = st.integers(1, 3)
    kernel = (draw(small), draw(small))
    stride, padding = (draw(small), draw(small)), (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    size = tuple(max(k, draw(st.integers(1, 9))) for k in kernel)
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 40)), draw(st.integers(1, 5)), draw(st.integers(1, 20)))
    return shape, kernels.Geometry(size, kernel, stride, padding)


def one_by_one(x, w, geometry):
    """torch's own convolutions, one task after the other."""
    tasks = range(x.shape[1])
    outputs = [F.conv2d(x[:, t], w[t] if w.ndim == 5 else w, None, geometry.stride, geometry.padding) for t in tasks]
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("filters", ["own", "shared", "repeated"])
@given(convolutions())
def test_a_convolution_and_its_derivatives(filters, threads, case):
    (tasks, n, channels, outputs), geometry = case
    x = random(n, tasks, channels, *geometry.size).requires_grad_()
    own = () if filters == "shared" else (tasks,)
    w = random(*own, outputs, channels, *geometry.kernel, seed=1)
    if filters == "repeated":
        w = w[:1].expand_as(w)
    w = w.detach().requires_grad_()
    expected = one_by_one(x, w, geometry)
    g = random(*expected.shape, seed=2)
    grad_x, grad_w = torch.autograd.grad(expected, (x, w), g)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, w = x.detach(), w.detach()
        torch.testing.assert_close(kernels.convolve(x, w, geometry), expected.detach())
        torch.testing.assert_close(kernels.input_grad(g, w, geometry), grad_x)
        torch.testing.assert_close(kernels.weight_grad(g, x, geometry, shared=filters == "shared"), grad_w)
        more = random(*expected.shape, seed=3)
        torch.testing.assert_close(kernels.convolve(x, w, geometry, into=more.clone()), more + expected.detach())
        more = random(*grad_x.shape, seed=3)
        torch.testing.assert_close(kernels.input_grad(g, w, geometry, into=more.clone()), more + grad_x)
        more = random(*grad_w.shape, seed=3)
        result = kernels.weight_grad(g, x, geometry, shared=filters == "shared", into=more.clone())
        torch.testing.assert_close(result, more + grad_w)
    finally:
        torch.set_num_threads(before)


def test_a_sum_does_not_depend_on_the_number_of_threads():
    geometry = kernels.Geometry((7, 7), (3, 3), (2, 2), (1, 1))
    x, w = random(40, 3, 16, 7, 7, dtype=torch.float32), random(3, 16, 16, 3, 3, dtype=torch.float32)
    g = random(40, 3, 16, 4, 4, dtype=torch.float32)
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            y, mean, scale = kernels.batch_norm_relu(x, None, torch.zeros(3, 16), EPS)
            results.append(
                (
                    kernels.convolve(x, w, geometry),
                    kernels.input_grad(g, w, geometry),
                    y,
                    mean,
                    scale,
                    kernels.weight_grad(g, x, geometry, shared=False),
                )
            )
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def plain_norm(x, weight, bias):
    variance, mean = torch.var_mean(x, (0, 3, 4), correction=0, keepdim=True)
    normalized = (x - mean) / (variance + EPS).sqrt()
    scaled = normalized if weight is None else normalized * weight[:, :, None, None]
    return F.relu(scaled + bias[:, :, None, None])


sizes = st.tuples(*(st.integers(1, top) for top in (6, 3, 4, 9, 40)))


@pytest.mark.parametrize("weighted", [False, True])
@given(shape=sizes)
def test_batch_norm_bias_and_relu_with_first_and_second_derivatives(weighted, shape):
    _, tasks, channels, *_ = shape
    x, bias = random(*shape).requires_grad_(), random(tasks, channels, seed=1).requires_grad_()
    weight = random(tasks, channels, seed=5).requires_grad_() if weighted else None
    g, v, u = (random(*shape, seed=2).requires_grad_(), random(*shape, seed=3), random(tasks, channels, seed=4))
    t = random(tasks, channels, seed=6)
    expected = plain_norm(x, weight, bias)
    by = (x, bias, weight) if weighted else (x, bias)
    first = torch.autograd.grad(expected, by, g, create_graph=True)
    second = torch.autograd.grad(first, (g, x, *by[2:]), (v, u, t)[: len(by)])
    x, bias, g = x.detach(), bias.detach(), g.detach()
    weight = weight.detach() if weighted else None
    y, mean, scale = kernels.batch_norm_relu(x, weight, bias, EPS)
    tolerance = {"rtol": 1e-6, "atol": 1e-6 * float(1 + scale.max() ** 3)}  # equal values have a scale of 316
    torch.testing.assert_close(y, expected.detach(), **tolerance)
    grad_x, gz, g_sum = kernels.batch_norm_relu_backward(g, x, y, weight, (mean, scale))
    computed = (grad_x, g_sum, gz)[: len(by)]
    for one, other in zip(computed, first, strict=True):
        torch.testing.assert_close(one, other.detach(), **tolerance)
    computed = kernels.batch_norm_relu_double_backward(v.clone(), t, u, g, x, y, weight, mean, scale, gz, g_sum)
    assert (computed[2] is not None) == weighted
    for one, other in zip(computed, second, strict=False):
        torch.testing.assert_close(one, other, **tolerance)


def test_a_weight_of_ones_changes_nothing():
    shape, ones = (4, 2, 3, 5, 5), torch.ones(2, 3, dtype=torch.float64)
    g, x, v, u, t = (random(*shape), random(*shape, seed=1), random(*shape, seed=2), ones * 0.3, torch.zeros_like(ones))
    results = []
    for weight in (None, ones):
        y, mean, scale = kernels.batch_norm_relu(x, weight, u, EPS)
        first = kernels.batch_norm_relu_backward(g, x, y, weight, (mean, scale))
        backward = (g, x, y, weight, mean, scale, *first[1:])
        results.append((y, *first, *kernels.batch_norm_relu_double_backward(v.clone(), t, u, *backward)[:2]))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_a_transposed_weight_or_bias_gives_the_same():
    g, x = random(4, 2, 3, 5, 5), random(4, 2, 3, 5, 5, seed=1)
    weight, bias = random(2, 3, seed=2), random(2, 3, seed=3)
    results = []
    for a, b in ((weight, bias), (weight.T.contiguous().T, bias.T.contiguous().T)):
        y, mean, scale = kernels.batch_norm_relu(x, a, b, EPS)
        results.append((y, mean, scale, *kernels.batch_norm_relu_backward(g, x, y, a, (mean, scale))))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_nan_is_kept():
    x = random(2, 1, 2, 3, 3)
    x[0, 0, 1, 0, 0] = float("nan")
    y, mean, scale = kernels.batch_norm_relu(x, None, torch.zeros(1, 2, dtype=x.dtype), EPS)
    assert torch.isfinite(y[:, :, 0]).all() and y[:, :, 1].isnan().all()
    grad_x, _, g_sum = kernels.batch_norm_relu_backward(torch.ones_like(x), x, y, None, (mean, scale))
    assert torch.isfinite(grad_x[:, :, 0]).all() and grad_x[:, :, 1].isnan().all() and g_sum[0, 1] == x[:, 0, 1].numel()
