"""Batch normalization without side effects: by the current batch, or by statistics that the caller passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamlbench.nn.padding import existing_examples, masked_statistics

BatchStats = list[tuple[Tensor, Tensor]]
"""Mean and biased variance ``[features]`` of every batch-norm layer, in the order in which the layers run."""

# The caller of a model chooses the statistics, for all of its layers, but a module's forward takes examples and nothing
# else. Hence context variables, set for one forward pass.
_recording: ContextVar[BatchStats | None] = ContextVar("recording", default=None)
_replaying: ContextVar[Iterator[tuple[Tensor, Tensor]] | None] = ContextVar("replaying", default=None)
_running: ContextVar[BatchStats | None] = ContextVar("running", default=None)


class BatchNorm(nn.Module):
    """Batch normalization by the current batch, or by the statistics of ``replay_statistics``, without side effects.

    Takes ``[n, features]`` or ``[n, features, H, W]``. It has no running statistics: they would leak
    between tasks. The MAML networks have a bias and no scale (Finn et al. 2017, code).

    Args:
        features: size of the second dimension.
        scale: whether there is a learned factor ``weight`` ``[features]``, in addition to ``bias`` ``[features]``.
        eps: added to the variance.
    """

    def __init__(self, features: int, *, scale: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.features = features
        self.eps = eps
        self.bias = nn.Parameter(torch.zeros(features))
        self.weight = nn.Parameter(torch.ones(features)) if scale else None

    @classmethod
    def like(cls, layer: nn.modules.batchnorm._NormBase) -> BatchNorm:
        """The layer that normalizes as torch's ``layer`` does in training; it shares its parameters."""
        norm = cls(layer.num_features, eps=layer.eps)
        norm.weight = layer.weight
        norm.register_parameter("bias", layer.bias)
        return norm

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``[n, features]`` or ``[n, features, H, W]``; the shape stays, bfloat16 becomes float32."""
        return batch_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.features}, scale={self.weight is not None}, eps={self.eps}"


def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalize ``[n, C]`` or ``[n, C, H, W]`` with torch's own functions, then apply weight and bias, each ``[C]``."""
    x = widen_bfloat16(x)
    statistics = next_replayed()
    existing = existing_examples()
    if statistics is None and existing is not None:
        mean, variance = masked_statistics(x, existing.mask)
        record(mean, variance)
        channels = (-1, *(1 for _ in range(x.ndim - 2)))
        return scale_and_shift((x - mean.view(channels)) * (variance + eps).rsqrt().view(channels), weight, bias)
    if statistics is None:
        if _recording.get() is not None:
            variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
            record(mean, variance)
        return scale_and_shift(F.batch_norm(x, None, None, None, None, True, 0.0, eps), weight, bias)
    return scale_and_shift(normalize_with(x, *statistics, eps), weight, bias)


def widen_bfloat16(x: Tensor) -> Tensor:
    """Cast bfloat16 to float32, since its eight bits are too few for a mean and a variance. Any shape."""
    return x.float() if x.dtype == torch.bfloat16 else x


def normalize_with(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Normalize ``[n, C]`` or ``[n, C, H, W]`` with mean and variance ``[C]``."""
    return F.batch_norm(x, mean, variance, None, None, False, 0.0, eps)


def scale_and_shift(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Multiply normalized ``[n, C]`` or ``[n, C, H, W]`` by ``weight`` and add ``bias``, each ``[C]`` or None."""
    # not as arguments of F.batch_norm: under vmap torch's second derivatives by them are wrong, and refused if there is
    # a bias without a weight
    channels = (-1, *(1 for _ in range(x.ndim - 2)))
    scaled = x if weight is None else x * weight.view(channels)
    return scaled if bias is None else scaled + bias.view(channels)


def record(mean: Tensor, variance: Tensor) -> None:
    """Append the statistics ``[C]`` that a layer normalizes by to those of ``record_statistics``, if it is active."""
    recording = _recording.get()
    if recording is not None:
        recording.append((mean, variance))


def replaying() -> bool:
    """Whether ``replay_statistics`` is active."""
    return _replaying.get() is not None


def next_replayed() -> tuple[Tensor, Tensor] | None:
    """Mean and variance ``[C]`` that the next layer normalizes by; None if by its own batch's."""
    statistics = _replaying.get()
    return None if statistics is None else next(statistics)


@contextmanager
def record_statistics() -> Iterator[BatchStats]:
    """Collect the statistics that every BatchNorm layer normalizes by, during one forward pass."""
    statistics: BatchStats = []
    token = _recording.set(statistics)
    try:
        yield statistics
    finally:
        _recording.reset(token)


@contextmanager
def replay_statistics(statistics: BatchStats) -> Iterator[None]:
    """Make every BatchNorm layer normalize by collected statistics, during one forward pass."""
    token = _replaying.set(iter(statistics))
    try:
        yield
    finally:
        _replaying.reset(token)


@contextmanager
def running_statistics(statistics: BatchStats) -> Iterator[None]:
    """Make every pass of every ``Model`` normalize by these statistics, as torch's networks do after ``eval()``.

    Args:
        statistics: of training data, one pair for every batch-norm layer of the network.
    """
    token = _running.set(statistics)
    try:
        yield
    finally:
        _running.reset(token)


def current_running_statistics() -> BatchStats | None:
    """The statistics of ``running_statistics``; None if it is not active."""
    return _running.get()
