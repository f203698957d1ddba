"""Pooled batch normalization against batch norm followed by pooling."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import grad, jvp, vjp, vmap

from mamlbench.nn.batch_norm_max_pool import pooled_normalize

EPS = 1e-5


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def maxima(x):
    return pooled_normalize(x, EPS)[0]


def by_definition(x):
    dims = (0, 2, 3)
    centered = x - x.mean(dims, keepdim=True)
    return F.max_pool2d(centered / (centered.square().mean(dims, keepdim=True) + EPS).sqrt(), 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


X, ALONG = random(4, 3, 5, 6), random(4, 3, 5, 6, seed=2)  # an odd height: the last row is in no window
WEIGHTS = random(4, 3, 2, 3, seed=1)


def gradient(function):
    """Gradient of a nonlinear function of the output, so that the second derivative has all its terms."""
    return grad(lambda x: (WEIGHTS * function(x).sin()).sum())


def assert_close(computed, expected):
    torch.testing.assert_close(computed, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["channels first", "channels last"])
class TestOneTask:
    def test_value_statistics_and_gradient(self, layout):
        values, mean, scale = pooled_normalize(layout(X), EPS)
        assert_close(values, by_definition(X))
        assert_close((mean, scale), (X.mean((0, 2, 3)), (X.var((0, 2, 3), correction=0) + EPS).rsqrt()))
        assert_close(gradient(maxima)(layout(X)), gradient(by_definition)(X))

    def test_without_a_derivative_it_is_the_same(self, layout):
        with torch.no_grad():
            alone = pooled_normalize(layout(X), EPS)
            tasks = vmap(lambda x: pooled_normalize(layout(x), EPS))(torch.stack([X, ALONG]))
        for values, of_tasks, expected, other in zip(
            alone, tasks, pooled_normalize(X, EPS), pooled_normalize(ALONG, EPS), strict=True
        ):
            assert_close(values, expected)
            assert_close(of_tasks, torch.stack([expected, other]))

    def test_forward_mode_without_reverse_mode(self, layout, forward_mode):
        with torch.no_grad():
            along = jvp(maxima, (layout(X),), (layout(ALONG),))[1]
        assert_close(along, jvp(by_definition, (X,), (ALONG,))[1])

    def test_second_derivative_by_reverse_over_reverse(self, layout):
        _, back = vjp(gradient(maxima), layout(X))
        _, back_reference = vjp(gradient(by_definition), X)
        assert_close(back(layout(ALONG))[0], back_reference(ALONG)[0])

    def test_first_and_second_derivative_by_forward_mode(self, layout, forward_mode):
        for function, base in ((maxima, by_definition), (gradient(maxima), gradient(by_definition))):
            assert_close(jvp(function, (layout(X),), (layout(ALONG),))[1], jvp(base, (X,), (ALONG,))[1])


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_many_tasks_under_vmap(dim, forward_mode):
    tasks = torch.stack([random(4, 3, 5, 6, seed=seed) for seed in (3, 4)])
    stacked = tasks.movedim(0, dim)
    assert_close(vmap(gradient(maxima), in_dims=dim)(stacked), torch.stack([gradient(maxima)(x) for x in tasks]))
    curvatures = vmap(lambda x: vjp(gradient(maxima), x)[1](ALONG)[0], in_dims=dim)(stacked)
    assert_close(curvatures, torch.stack([vjp(gradient(by_definition), x)[1](ALONG)[0] for x in tasks]))
    along = vmap(lambda x: jvp(gradient(maxima), (x,), (ALONG,))[1], in_dims=dim)(stacked)
    assert_close(along, curvatures)  # the Hessian is symmetric


def test_first_and_second_derivative_with_plain_autograd():
    x = X.clone().requires_grad_()
    assert torch.autograd.gradcheck(maxima, (x,))
    assert torch.autograd.gradgradcheck(maxima, (x,))


def test_unsupported_derivatives_are_refused(forward_mode):
    with pytest.raises(NotImplementedError, match="reverse over forward"):
        grad(lambda x: jvp(maxima, (x,), (ALONG,))[1].sum())(X)
    with pytest.raises(NotImplementedError, match="third derivatives"):
        grad(lambda x: (ALONG * grad(lambda x: (gradient(maxima)(x) * ALONG).sum())(x)).sum())(X)
