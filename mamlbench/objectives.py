"""What is learned: loss, metric and its direction, number of outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A score per episode. Model selection, tables and gates follow its direction.

    Args:
        name: as tables show it.
        unit: '%' where the score is a share, shown times 100; else the unit, or nothing.
        higher_is_better: its direction.
    """

    name: str
    unit: str
    higher_is_better: bool

    def better(self, new: float, old: float) -> bool:
        """Whether ``new`` is a better score than ``old``."""
        return new > old if self.higher_is_better else new < old


class Objective(ABC):
    """Loss and score of one task.

    Attributes:
        metric: what ``score`` measures.
        outputs: number of outputs that the network needs.
    """

    metric: Metric
    outputs: int

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Loss of each example: ``[n, outputs]`` and targets ``[n]`` or ``[n, outputs]`` to ``[n]``."""

    @abstractmethod
    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean score over n examples: ``[..., n, outputs]`` and targets ``[..., n]`` (or as outputs) to ``[...]``."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean loss over the examples: ``[n, outputs]`` and targets ``[n]`` or ``[n, outputs]`` to a scalar ``[]``."""
        return self.losses(outputs, y).mean()


class Classification(Objective):
    """Cross-entropy and accuracy over ``ways`` classes."""

    metric = Metric("accuracy", "%", higher_is_better=True)

    def __init__(self, ways: int) -> None:
        self.outputs = ways

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(outputs, y, reduction="none")

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs.argmax(-1) == y).to(torch.float32).mean(-1)


class Regression(Objective):
    """Mean squared error over ``outputs`` values."""

    metric = Metric("mean squared error", "", higher_is_better=False)

    def __init__(self, outputs: int = 1) -> None:
        self.outputs = outputs

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).square().mean(-1)

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).square().mean((-1, -2))
