"""Normalization by a batch's own statistics, with hand-written first and second derivatives.

torch's second derivative of batch normalization takes a few dozen passes over its input; on large feature maps these
are a good part of a second-order meta-gradient. Here it takes five, and the sums come from torch's fused kernels.

With z = (x - mean) / std per channel, n values in each, and B(g) = (g - mean(g) - z mean(g z)) / std:

- the derivative of z along v is B(v), and its transpose applied to g is B(g): B is symmetric;
- the derivative of B(g) by x is a Hessian (that of sum(g z)), hence symmetric too: applied to v, from either side, it
  is -(t g + s v - mean(t g + s v) + z (mean(v g) - mean(v) mean(g) - 3 s t)) / std², with s = mean(g z), t = mean(v z).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_BOTH_SUMS, _ONE_SUM = [True, True, True], [False, True, False]  # grad of input, sum of g z, sum of g


def normalize(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize ``[n, C, H, W]`` in each channel; return the result, then mean and 1 / std, each ``[C]``.

    The result is differentiable twice, in reverse and forward mode and under vmap; a third derivative raises
    NotImplementedError. Mean and 1 / std have no derivative.
    """
    return _Normalize.apply(x, eps)  # type: ignore[no-any-return]


class Channelwise(torch.autograd.Function):
    """A function of tensors and eps that mixes no channels: under vmap, tasks become channels."""

    @classmethod
    def vmap(cls, info: Any, dims: tuple[Any, ...], *inputs: Any) -> tuple[Any, Any]:
        *tensors, eps = inputs
        folded = [fold(tensor, dim, info.batch_size) for tensor, dim in zip(tensors, dims, strict=False)]
        return unfold(info.batch_size, *cls.apply(*folded, eps))


class LastDerivative(Channelwise):
    """Last differentiable order; a further derivative raises NotImplementedError."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("third derivatives of batch normalization")


class _Normalize(Channelwise):
    """x to z, mean and 1 / std."""

    @staticmethod
    def forward(x: Tensor, eps: float) -> tuple[Tensor, ...]:
        return torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.eps = inputs
        _, *statistics = output
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *statistics)
        ctx.save_for_forward(x, *statistics)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, None]:
        if g is None:
            return None, None
        return _NormalizeBackward.apply(g, *ctx.saved_tensors, ctx.eps)[0], None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, _: None) -> tuple[Tensor, None, None]:
        return _NormalizeBackward.apply(v, *ctx.saved_tensors, ctx.eps)[0], None, None


class _NormalizeBackward(Channelwise):
    """B(g), sum(g z) and sum(g)."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, mean: Tensor, scale: Tensor, eps: float) -> tuple[Tensor, ...]:
        return _native_backward(g, x, (mean, scale), eps, _BOTH_SUMS)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.eps = inputs
        _, *sums = output
        ctx.mark_non_differentiable(*sums)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *sums)
        ctx.save_for_forward(*tensors, *sums)

    @staticmethod
    def backward(ctx: Any, v: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if v is None:
            return None, None, None, None, None
        return *_NormalizeDoubleBackward.apply(v, *ctx.saved_tensors, ctx.eps), None, None, None

    @staticmethod
    def jvp(ctx: Any, dg: Tensor | None, dx: Tensor | None, *_: None) -> tuple[Tensor | None, None, None]:
        _, x, mean, scale, *_ = ctx.saved_tensors
        result = None if dg is None else _NormalizeBackward.apply(dg, x, mean, scale, ctx.eps)[0]
        if dx is not None:
            by_x = _NormalizeDoubleBackward.apply(dx, *ctx.saved_tensors, ctx.eps)[1]
            result = by_x if result is None else result + by_x
        return result, None, None


class _NormalizeDoubleBackward(LastDerivative):
    """Pulls a cotangent v of B(g) back to g, where it is B(v), and to x."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor]:
        v, g, x, mean, scale, gz, g_sum, eps = inputs
        n = x.numel() // x.shape[1]
        grad_g, vz, v_sum = _native_backward(v, x, (mean, scale), eps, _BOTH_SUMS)
        _, vg, _ = _native_backward(v, g, (torch.zeros_like(mean), torch.ones_like(mean)), eps, _ONE_SUM)
        s, t = gz / n, vz / n
        minus_scale_squared = -scale.square()
        x_factor = minus_scale_squared * scale * (vg / n - v_sum * g_sum / n**2 - 3 * s * t)
        constant = -minus_scale_squared * (t * g_sum + s * v_sum) / n - x_factor * mean
        grad_x = torch.addcmul(per_channel(constant), x, per_channel(x_factor))
        grad_x.addcmul_(g, per_channel(minus_scale_squared * t)).addcmul_(v, per_channel(minus_scale_squared * s))
        return grad_g, grad_x


def _native_backward(
    g: Tensor, x: Tensor, statistics: tuple[Tensor, Tensor], eps: float, mask: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """torch's kernel of the first derivative: those of B(g), sum(g z) and sum(g) that ``mask`` selects."""
    return torch.ops.aten.native_batch_norm_backward(g, x, None, None, None, *statistics, True, eps, mask)  # type: ignore[no-any-return]


def batch_norm_sums(
    v: Tensor, x: Tensor, statistics: tuple[Tensor, Tensor], eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """An unused tensor, then sum(v z) and sum(v), each ``[C]``."""
    return _native_backward(v, x, statistics, eps, [False, True, True])


def per_channel(values: Tensor) -> Tensor:
    """``[C]`` to ``[C, 1, 1]``."""
    return values.view(-1, 1, 1)


def fold(x: Tensor, dim: int | None, tasks: int) -> Tensor:
    """Turn tasks into channels: ``[n, C, H, W]`` to ``[n, T*C, H, W]``, ``[C]`` to ``[T*C]``."""
    x = x.unsqueeze(0).expand(tasks, *x.shape) if dim is None else x.movedim(dim, 0)
    return x.reshape(-1) if x.ndim == 2 else x.transpose(0, 1).flatten(1, 2)


def unfold(tasks: int, *results: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Undo ``fold``: results with the tasks in a dimension of their own, and that dimension of each result."""
    dims = tuple(0 if result.ndim == 1 else 1 for result in results)
    return tuple(result.unflatten(dim, (tasks, -1)) for result, dim in zip(results, dims, strict=True)), dims  # type: ignore[no-untyped-call]
