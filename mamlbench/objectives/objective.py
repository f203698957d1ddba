"""What is learned: the loss, the number of outputs, and the metrics that judge it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
"""Label that torch's cross-entropy ignores."""


class Objective(ABC):
    """Loss of one task, and the names of the metrics that judge it.

    Attributes:
        metrics: registered names of the metrics that are reported unless a user names others; the first one selects
            the checkpoint.
        outputs: number of outputs that the network needs.
    """

    metrics: tuple[str, ...]
    outputs: int

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Loss of each example: ``[n, outputs]`` and targets ``[n]`` or ``[n, outputs]`` to ``[n]``."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean loss over the examples: ``[n, outputs]`` and targets ``[n]`` or ``[n, outputs]`` to a scalar ``[]``."""
        return self.losses(outputs, y).mean()


class Classification(Objective):
    """Cross-entropy over ``ways`` classes, judged by accuracy."""

    metrics = ("accuracy",)

    def __init__(self, ways: int) -> None:
        self.outputs = ways

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(outputs, y, reduction="none")


class ClassificationOfFirst(Classification):
    """Cross-entropy over the first ``ways`` outputs of a network that may have more."""

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return super().losses(outputs[..., : self.outputs], y)


class ClassificationOfPadded(ClassificationOfFirst):
    """Cross-entropy of a task that is filled up with examples whose label is negative: minus its number of classes.

    These examples have no loss, and the outputs for other classes than the task's have the probability 0. There is at
    least one such example in every task.
    """

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        outputs = outputs[..., : self.outputs]
        absent = torch.arange(self.outputs, device=y.device) >= -y.amin()
        logits = outputs.masked_fill(absent, torch.finfo(outputs.dtype).min)
        return F.cross_entropy(logits, y.where(y >= 0, IGNORED), reduction="none", ignore_index=IGNORED)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.losses(outputs, y).sum() / (y >= 0).sum()


class Regression(Objective):
    """Mean squared error over ``outputs`` values, judged by the same."""

    metrics = ("mean squared error",)

    def __init__(self, outputs: int = 1) -> None:
        self.outputs = outputs

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).square().mean(-1)
