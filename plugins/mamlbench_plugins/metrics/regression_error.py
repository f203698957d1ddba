"""Errors of regression."""

from __future__ import annotations

from torch import Tensor

from mamlbench.api import Metric


class MeanSquaredError(Metric):
    """Mean of the squared differences between outputs and targets, over an episode's queries and all outputs."""

    name = "mean squared error"
    higher_is_better = False
    kind = "regression"

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).square().mean((-1, -2))


class MeanAbsoluteError(Metric):
    """Mean of the absolute differences between outputs and targets, over an episode's queries and all outputs."""

    name = "mean absolute error"
    higher_is_better = False
    kind = "regression"

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).abs().mean((-1, -2))
