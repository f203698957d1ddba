"""A network with a marked place where the features end and the head begins."""

from __future__ import annotations

from torch import Tensor, nn


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
