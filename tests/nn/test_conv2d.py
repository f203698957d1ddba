import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from mamlbench.nn.conv2d import convolve
from mamlbench.nn.kernels import Geometry

TASKS = 3
KINDS = {
    "strided": {"stride": 2, "padding": 1},
    "plain": {"padding": 1},
    "uneven": {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)},
    "grouped": {"groups": 2, "bias": False},
}


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class KernelConv2d(nn.Conv2d):
    """Torch's layer, with ``convolve`` in place of its function."""

    def forward(self, x):
        geometry = Geometry(x.shape[-2:], self.kernel_size, self.stride, self.padding, self.dilation, self.groups)
        y = convolve(x, self.weight, geometry)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def layers(request):
    """The layer under test, and torch's with the same parameters."""
    torch.manual_seed(0)
    layer, reference = (
        kind(4, 6, 3, **request.param).double().requires_grad_(False) for kind in (KernelConv2d, nn.Conv2d)
    )
    reference.load_state_dict(layer.state_dict())
    return layer, reference


def second_order(layer, x, weights, rate):
    """Gradient by weights and input of a loss after one gradient step, as in MAML; the loss is not quadratic."""

    def loss(weights, x):
        return functional_call(layer, weights, (x,)).square().mean().sqrt()

    def outer(weights, x):
        by_weights, by_x = grad(loss, argnums=(0, 1))(weights, x)
        return loss({name: value - rate * by_weights[name] for name, value in weights.items()}, x - rate * by_x)

    return grad(outer, argnums=(0, 1))(weights, x)


def flat(result):
    weights, x = result
    return [*weights.values(), x]


def per_task(layer, weights_of, xs):
    """torch's own layer, one task after the other."""
    tasks = [flat(second_order(layer, x, weights_of(task), 0.3)) for task, x in enumerate(xs)]
    return [torch.stack(parts) for parts in zip(*tasks, strict=True)]


def close(computed, expected):
    for one, other in zip(computed, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_tasks_with_weights_of_their_own(layers, dim):
    layer, reference = layers
    xs = random(TASKS, 2, 4, 7, 8)
    weights = {name: random(TASKS, *value.shape, seed=1) for name, value in layer.named_parameters()}
    computed = vmap(lambda x, w: second_order(layer, x, w, 0.3), in_dims=(dim, 0))(xs.movedim(0, dim), weights)
    close(flat(computed), per_task(reference, lambda task: {name: value[task] for name, value in weights.items()}, xs))


def test_tasks_that_share_their_weights(layers):
    layer, reference = layers
    xs, weights = random(TASKS, 2, 4, 7, 8), dict(layer.named_parameters())
    computed = vmap(lambda x: second_order(layer, x, weights, 0.3))(xs)
    shared = grad(lambda w: vmap(lambda x: functional_call(layer, w, (x,)).square().sum())(xs).sum())(weights)
    close(flat(computed), per_task(reference, lambda _: weights, xs))
    sums = grad(lambda w: sum(functional_call(reference, w, (x,)).square().sum() for x in xs))(weights)
    close(shared.values(), sums.values())


def test_tasks_that_share_their_input(layers):
    layer, reference = layers
    x, weights = random(2, 4, 7, 8), {n: random(TASKS, *v.shape, seed=1) for n, v in layer.named_parameters()}
    computed = vmap(lambda w: second_order(layer, x, w, 0.3))(weights)
    close(flat(computed), per_task(reference, lambda task: {n: v[task] for n, v in weights.items()}, [x] * TASKS))


def test_first_and_second_derivatives_with_plain_autograd(layers):
    layer, _ = layers
    x = random(2, 4, 5, 6).requires_grad_()
    weights = [value.clone().requires_grad_() for value in layer.parameters()]
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *weights):
        return functional_call(layer, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x, *weights))
    assert torch.autograd.gradgradcheck(function, (x, *weights))


def test_no_gradient_of_the_images_is_computed(monkeypatch):
    from mamlbench.nn import conv2d

    masks = []
    kernel = conv2d._backward
    monkeypatch.setattr(conv2d, "_backward", lambda *arguments: masks.append(arguments[-1]) or kernel(*arguments))
    KernelConv2d(1, 2, 3)(torch.ones(2, 1, 4, 4)).square().sum().backward()
    assert masks == [[False, True, False]]
