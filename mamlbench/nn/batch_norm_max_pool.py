"""Batch normalization followed by max-pooling, without the normalized map between them.

Normalizing keeps the order of values, so that the maxima of z = (x - mean) / std are those of x: only they need
to be normalized, by the mean and std of all values. Derivatives are by hand, as in ``normalize``, whose notation
this keeps: B(g) = (g - mean(g) - z mean(g z)) / std. Here g is nothing but the maxima's, so that both means are sums
over the few, and what is left of a pass over the map is one addition.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.nn.batch_norm_grad import Channelwise, LastDerivative, per_channel, sums_along

WINDOW = 2


def pooled_normalize(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The maxima of ``[n, C, H, W]`` normalized to zero mean and unit variance in each channel, and its statistics.

    Differentiable twice, in reverse mode, in forward mode over reverse mode, and under vmap; other second derivatives
    and a third one raise an error.

    Args:
        x: ``[n, C, H, W]``, best with the channels last in memory.
        eps: added to the variance.

    Returns:
        The normalized maxima ``[n, C, H // 2, W // 2]``, mean and 1 / std of all values ``[C]``.
    """
    maxima, mean, scale, _ = _PooledNormalize.apply(x, eps)
    return maxima, mean, scale


def _keep(ctx: Any, eps: float, outputs: tuple[Tensor, ...], *tensors: Tensor) -> None:
    """Keep ``tensors`` for derivatives; only the first of ``outputs`` has any."""
    ctx.eps = eps
    ctx.mark_non_differentiable(*outputs[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


class _PooledNormalize(Channelwise):
    """x to z at its maxima, mean, 1 / std, and the maxima's places."""

    @staticmethod
    def forward(x: Tensor, eps: float) -> tuple[Tensor, ...]:
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        scale = (variance + eps).rsqrt()
        maxima, places = F.max_pool2d(x, WINDOW, return_indices=True)
        return maxima.sub_(per_channel(mean)).mul_(per_channel(scale)), mean, scale, places

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, eps = inputs
        _keep(ctx, eps, output, x, *output)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, None]:
        return (None if g is None else _PooledBackward.apply(g, *ctx.saved_tensors, ctx.eps)[0]), None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, _: None) -> tuple[Tensor, None, None, None]:
        return _Along.apply(v, *ctx.saved_tensors, ctx.eps)[0], None, None, None


class _Along(LastDerivative):
    """B(v) at the maxima: the derivative of z along v."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        v, x, z, mean, scale, places, eps = inputs
        _, *sums = sums_along(v, x, (mean, scale), eps)
        return _at_maxima(v, z, scale, places, sums), *sums

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("reverse over forward mode through pooled batch normalization")


class _PooledBackward(Channelwise):
    """B(g), sum(g z) and sum(g), where g is zero but at the maxima."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        g, x, z, mean, scale, places, _ = inputs
        n = x.numel() // x.shape[1]
        gz, g_sum = (g * z).sum((0, 2, 3)), g.sum((0, 2, 3))
        along_x = -scale.square() * gz / n
        constant = -scale * g_sum / n - along_x * mean
        slope = torch.addcmul(per_channel(constant), x, per_channel(along_x))
        return add_at(slope, places, g * per_channel(scale)), gz, g_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, eps = inputs
        _keep(ctx, eps, output, *tensors, *output[1:])

    @staticmethod
    def backward(ctx: Any, v: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        to_g, to_x = (None, None) if v is None else _PooledDoubleBackward.apply(v, *ctx.saved_tensors, ctx.eps)
        return to_g, to_x, *(None for _ in range(5))

    @staticmethod
    def jvp(ctx: Any, dg: Tensor | None, dx: Tensor | None, *_: None) -> tuple[Tensor | None, None, None]:
        _, *rest, _, _ = ctx.saved_tensors
        to_result = None if dg is None else _PooledBackward.apply(dg, *rest, ctx.eps)[0]
        if dx is not None:
            by_x = _PooledDoubleBackward.apply(dx, *ctx.saved_tensors, ctx.eps)[1]
            to_result = by_x if to_result is None else to_result + by_x
        return to_result, None, None


class _PooledDoubleBackward(LastDerivative):
    """What a cotangent v of B(g) sends to g, which is B(v) at the maxima, and to x."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor]:
        v, g, x, z, mean, scale, places, gz, g_sum, eps = inputs
        n = x.numel() // x.shape[1]
        _, *sums = sums_along(v, x, (mean, scale), eps)
        vz, v_sum = sums
        vg = (get_at(v, places) * g).sum((0, 2, 3))
        s, t = gz / n, vz / n
        variance = -scale.square()
        along_x = variance * scale * (vg / n - v_sum * g_sum / n**2 - 3 * s * t)
        constant = -variance * (t * g_sum + s * v_sum) / n - along_x * mean
        to_x = torch.addcmul(per_channel(constant), x, per_channel(along_x)).addcmul_(v, per_channel(variance * s))
        return _at_maxima(v, z, scale, places, sums), add_at(to_x, places, g * per_channel(variance * t))


def _at_maxima(v: Tensor, z: Tensor, scale: Tensor, places: Tensor, sums: list[Tensor]) -> Tensor:
    """B(v) at the maxima, from sum(v z) and sum(v): ``[n, C, H, W]`` to ``[n, C, h, w]``."""
    n, (vz, v_sum) = v.numel() // v.shape[1], sums
    centered = get_at(v, places) - per_channel(v_sum / n)
    return centered.addcmul_(z, per_channel(-vz / n)).mul_(per_channel(scale))


def get_at(values: Tensor, places: Tensor) -> Tensor:
    """``[n, C, H, W]`` at the places ``[n, C, h, w]`` that max-pooling names."""
    maxima = _pixels(values).gather(1, _pixels(places))  # [n, h*w, C]
    return maxima.unflatten(1, places.shape[2:]).permute(0, 3, 1, 2)  # type: ignore[no-any-return, no-untyped-call]


def add_at(values: Tensor, places: Tensor, more: Tensor) -> Tensor:
    """Add ``more`` ``[n, C, h, w]`` to ``[n, C, H, W]`` at these places, in place if the channels come last."""
    sums = _pixels(values).scatter_add_(1, _pixels(places), _pixels(more))  # [n, H*W, C]
    return sums.unflatten(1, values.shape[2:]).permute(0, 3, 1, 2)  # type: ignore[no-any-return, no-untyped-call]


def _pixels(x: Tensor) -> Tensor:
    """``[n, C, H, W]`` to ``[n, H*W, C]``: the same memory if the channels come last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
