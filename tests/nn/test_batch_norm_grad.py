"""Hand-written derivatives of batch normalization against torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import grad, jvp, vjp, vmap

from mamlbench.nn.batch_norm_grad import normalize as with_statistics

EPS = 1e-5


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normalize(x, eps):
    return with_statistics(x, eps)[0]


def reference(x, eps):
    return F.batch_norm(x, None, None, None, None, True, 0.0, eps)


def by_definition(x, eps):
    dims = (0, 2, 3)
    centered = x - x.mean(dims, keepdim=True)
    return centered / (centered.square().mean(dims, keepdim=True) + eps).sqrt()


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


X, WEIGHTS, ALONG = random(4, 3, 5, 6), random(4, 3, 5, 6, seed=1), random(4, 3, 5, 6, seed=2)


def gradient(function):
    """Gradient of a nonlinear function of the output, so that the second derivative has all its terms."""
    return grad(lambda x: (WEIGHTS * function(x, EPS).sin()).sum())


def assert_close(computed, expected):
    torch.testing.assert_close(computed, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["channels first", "channels last"])
class TestOneTask:
    def test_value_and_gradient(self, layout):
        assert_close(normalize(layout(X), EPS), reference(X, EPS))
        assert_close(gradient(normalize)(layout(X)), gradient(reference)(X))

    def test_second_derivative_by_reverse_over_reverse(self, layout):
        _, back = vjp(gradient(normalize), layout(X))
        _, back_reference = vjp(gradient(by_definition), X)
        assert_close(back(layout(ALONG))[0], back_reference(ALONG)[0])

    def test_first_and_second_derivative_by_forward_mode(self, layout, forward_mode):
        for function, base in (
            (lambda x: normalize(x, EPS), lambda x: by_definition(x, EPS)),
            (gradient(normalize), gradient(by_definition)),
        ):
            assert_close(jvp(function, (layout(X),), (layout(ALONG),))[1], jvp(base, (X,), (ALONG,))[1])

    def test_second_derivative_for_a_constant_cotangent(self, layout):
        """Only the dependence on x contributes."""
        computed, expected = (
            grad(lambda x, f=f: (ALONG * vjp(lambda x: f(x, EPS), x)[1](WEIGHTS)[0]).sum())(X)
            for f in (normalize, by_definition)
        )
        assert_close(computed, expected)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_many_tasks_under_vmap(dim):
    tasks = torch.stack([random(4, 3, 5, 6, seed=seed) for seed in (3, 4)])
    stacked = tasks.movedim(0, dim)
    assert_close(vmap(gradient(normalize), in_dims=dim)(stacked), torch.stack([gradient(normalize)(x) for x in tasks]))

    def curvature(x, along):
        return vjp(gradient(normalize), x)[1](along)[0]

    for directions, along_dim in ((ALONG, None), (torch.stack([ALONG, -WEIGHTS]), 0)):
        vectors = [ALONG, ALONG] if along_dim is None else [ALONG, -WEIGHTS]
        computed = vmap(curvature, in_dims=(dim, along_dim))(stacked, directions)
        assert_close(computed, torch.stack([curvature(x, along) for x, along in zip(tasks, vectors, strict=True)]))


def test_first_and_second_derivative_with_plain_autograd():
    x = X.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: normalize(x, EPS), (x,))
    assert torch.autograd.gradgradcheck(lambda x: normalize(x, EPS), (x,))


def test_a_third_derivative_is_refused():
    with pytest.raises(NotImplementedError, match="third"):
        grad(lambda x: grad(lambda x: gradient(normalize)(x).square().sum())(x).square().sum())(X)
