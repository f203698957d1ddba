"""Backbones: networks with a marked place where the features end and the head begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamlbench.api.noise import Noise
from mamlbench.api.normalise import normalise
from mamlbench.api.options import Options
from mamlbench.api.together import together
from mamlbench.errors import ConfigError

Statistics = list[tuple[Tensor, Tensor]]
"""Mean and biased variance ``[features]`` of every batch-norm layer, in the order in which the layers run."""

_recording: ContextVar[Statistics | None] = ContextVar("recording", default=None)
_replaying: ContextVar[Iterator[tuple[Tensor, Tensor]] | None] = ContextVar("replaying", default=None)


class BatchNorm(nn.Module):
    """Batch normalisation by the current batch, or by statistics that the caller gives: never a side effect.

    Takes ``[n, features]`` or ``[n, features, H, W]``. No running statistics are kept (they would leak between
    tasks). The MAML networks have a bias and no scale (Finn et al. 2017, code).

    Args:
        features: size of the second dimension.
        scale: whether there is a learned factor ``weight`` ``[features]`` beside the learned ``bias`` ``[features]``.
        eps: added to the variance.

    Attributes:
        large: values in a feature map (in those of all tasks, inside ``maps_together``) from which on derivatives are
            those of ``normalise``. The numbers are the same; on small maps torch's own take less time, on large ones
            more.
    """

    large: float = 2**18

    def __init__(self, features: int, *, scale: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.bias = nn.Parameter(torch.zeros(features))
        self.weight = nn.Parameter(torch.ones(features)) if scale else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[n, features]`` or ``[n, features, H, W]``; the shape stays."""
        replaying = _replaying.get()
        if replaying is not None:
            return self.moved(self._normalised(x, *next(replaying)))
        if self._by_hand(x):
            normalised, mean, scale = self._by_own_statistics(x)
            self.record(mean, scale)
            return self.moved(normalised)
        recording = _recording.get()
        if recording is not None:
            variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
            recording.append((mean, variance))
        return self.moved(self._normalised(x, None, None))

    def _normalised(self, x: Tensor, mean: Tensor | None, variance: Tensor | None) -> Tensor:
        """Normalise by these statistics, or by this batch's where there are none."""
        return F.batch_norm(x, mean, variance, None, None, mean is None, 0.0, self.eps)

    def _by_own_statistics(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise by this batch's, with derivatives by hand; with mean and 1 / std."""
        return normalise(x, self.eps)

    def _by_hand(self, x: Tensor) -> bool:
        tasks, twice = together()
        large = x.ndim == 4 and x.numel() * (tasks if twice else 1) >= self.large
        return large and x.device.type == "cpu" and not torch.compiler.is_compiling()

    @staticmethod
    def replaying() -> bool:
        """Whether this pass normalises by statistics that were collected before."""
        return _replaying.get() is not None

    def record(self, mean: Tensor, scale: Tensor) -> None:
        """Tell who collects statistics what has been normalised by: mean and 1 / std, each ``[features]``."""
        recording = _recording.get()
        if recording is not None:
            recording.append((mean, scale.pow(-2) - self.eps))

    def moved(self, x: Tensor) -> Tensor:
        """Scale and bias of what has been normalised, ``[n, features]`` or ``[n, features, H, W]``."""
        # Scale and bias stand apart: through batch_norm itself torch gets second derivatives by them wrong under vmap,
        # and refuses them where there is a bias without a scale.
        along = (-1, *(1 for _ in range(x.ndim - 2)))
        scaled = x if self.weight is None else x * self.weight.view(along)
        return scaled + self.bias.view(along)


@contextmanager
def record_statistics() -> Iterator[Statistics]:
    """Collect what every BatchNorm layer normalises by, during one forward pass."""
    statistics: Statistics = []
    token = _recording.set(statistics)
    try:
        yield statistics
    finally:
        _recording.reset(token)


@contextmanager
def replay_statistics(statistics: Statistics) -> Iterator[None]:
    """Let every BatchNorm layer normalise by collected statistics, during one forward pass."""
    token = _replaying.set(iter(statistics))
    try:
        yield
    finally:
        _replaying.reset(token)


class Network(nn.Module):
    """Features, then a head.

    Args:
        features: ``[n, *input_shape]`` to ``[n, d]``.
        head: ``[n, d]`` to ``[n, outputs]``.
    """

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """``[n, *input_shape]`` to ``[n, outputs]``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


class Backbone(ABC):
    """Builds networks for an input shape and a number of outputs."""

    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return a module from ``[n, *input_shape]`` to ``[n, d]``, and d.

        Raises ConfigError where the network cannot take that shape.
        """

    def head(self, features: int, outputs: int) -> nn.Module:
        """Return a module from ``[n, features]`` to ``[n, outputs]``; a linear layer unless overridden."""
        return nn.Linear(features, outputs)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """Build the network, with parameters drawn from torch's global random state.

        Raises ConfigError where a layer has batch-norm statistics of torch's, which are a side effect.
        """
        features, width = self.features(input_shape)
        network = Network(features, self.head(width, outputs))
        for name, module in network.named_modules():
            if isinstance(module, Noise):
                module.place = name
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ConfigError(
                    f"layer '{name}' is {type(module).__name__}, whose statistics are a side effect: "
                    "use mamlbench.api.BatchNorm."
                )
        return network
