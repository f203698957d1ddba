"""Batch normalization without side effects: by the current batch, or by statistics that the caller gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamlbench.nn.batch_norm_grad import normalize
from mamlbench.nn.vmap_context import current_vmap_context

BatchStats = list[tuple[Tensor, Tensor]]
"""Mean and biased variance ``[features]`` of every batch-norm layer, in the order in which the layers run."""

_recording: ContextVar[BatchStats | None] = ContextVar("recording", default=None)
_replaying: ContextVar[Iterator[tuple[Tensor, Tensor]] | None] = ContextVar("replaying", default=None)


class BatchNorm(nn.Module):
    """Batch normalization by the current batch, or by statistics that the caller gives: never a side effect.

    Takes ``[n, features]`` or ``[n, features, H, W]``. No running statistics are kept (they would leak between
    tasks). The MAML networks have a bias and no scale (Finn et al. 2017, code).

    Args:
        features: size of the second dimension.
        scale: whether there is a learned factor ``weight`` ``[features]`` beside the learned ``bias`` ``[features]``.
        eps: added to the variance.

    Attributes:
        large: values in a feature map (in those of all tasks, inside ``vmap_context``) from which on derivatives are
            those of ``normalize``. The numbers are the same; on small maps torch's own take less time, on large ones
            more.
    """

    large: float = 2**18

    def __init__(self, features: int, *, scale: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.bias = nn.Parameter(torch.zeros(features))
        self.weight = nn.Parameter(torch.ones(features)) if scale else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``[n, features]`` or ``[n, features, H, W]``; the shape stays, bfloat16 becomes float32."""
        if x.dtype == torch.bfloat16:  # its eight bits are too few for a mean and a variance
            x = x.float()
        replaying = _replaying.get()
        if replaying is not None:
            return self.moved(self._normalized(x, *next(replaying)))
        if self._by_hand(x):
            normalized, mean, scale = self._by_own_statistics(x)
            self.record(mean, scale)
            return self.moved(normalized)
        recording = _recording.get()
        if recording is not None:
            variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
            recording.append((mean, variance))
        return self.moved(self._normalized(x, None, None))

    def _normalized(self, x: Tensor, mean: Tensor | None, variance: Tensor | None) -> Tensor:
        """Normalize by these statistics, or by this batch's where there are none."""
        return F.batch_norm(x, mean, variance, None, None, mean is None, 0.0, self.eps)

    def _by_own_statistics(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalize by this batch's, with derivatives by hand; with mean and 1 / std."""
        return normalize(x, self.eps)

    def _by_hand(self, x: Tensor) -> bool:
        tasks, twice = current_vmap_context()
        large = x.ndim == 4 and x.numel() * (tasks if twice else 1) >= self.large
        return large and x.device.type == "cpu" and not torch.compiler.is_compiling()

    @staticmethod
    def replaying() -> bool:
        """Whether this pass normalizes by statistics that were collected before."""
        return _replaying.get() is not None

    def record(self, mean: Tensor, scale: Tensor) -> None:
        """Tell who collects statistics what has been normalized by: mean and 1 / std, each ``[features]``."""
        recording = _recording.get()
        if recording is not None:
            recording.append((mean, scale.pow(-2) - self.eps))

    def moved(self, x: Tensor) -> Tensor:
        """Scale and bias of what has been normalized, ``[n, features]`` or ``[n, features, H, W]``."""
        # Scale and bias stand apart: through batch_norm itself torch gets second derivatives by them wrong under vmap,
        # and refuses them where there is a bias without a scale.
        along = (-1, *(1 for _ in range(x.ndim - 2)))
        scaled = x if self.weight is None else x * self.weight.view(along)
        return scaled + self.bias.view(along)


@contextmanager
def record_statistics() -> Iterator[BatchStats]:
    """Collect what every BatchNorm layer normalizes by, during one forward pass."""
    statistics: BatchStats = []
    token = _recording.set(statistics)
    try:
        yield statistics
    finally:
        _recording.reset(token)


@contextmanager
def replay_statistics(statistics: BatchStats) -> Iterator[None]:
    """Let every BatchNorm layer normalize by collected statistics, during one forward pass."""
    token = _replaying.set(iter(statistics))
    try:
        yield
    finally:
        _replaying.reset(token)
