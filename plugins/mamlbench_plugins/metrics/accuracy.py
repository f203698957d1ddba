"""How many queries are classified right: in all, and of the worst class."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlbench.api import Metric


class Accuracy(Metric):
    """Share of an episode's queries whose largest output is that of their class."""

    name = "accuracy"
    unit = "%"
    higher_is_better = True

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs.argmax(-1) == y).to(torch.float32).mean(-1)


class WorstClassAccuracy(Metric):
    """Accuracy on the queries of the class that fares worst in the episode, among the classes that have queries."""

    name = "worst-class accuracy"
    unit = "%"
    higher_is_better = True

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        right = (outputs.argmax(-1) == y).to(torch.float32)  # [T, n]
        counts = right.new_zeros(len(y), outputs.shape[-1])  # [T, ways]
        right_counts = counts.scatter_add(1, y, right)
        counts = counts.scatter_add(1, y, torch.ones_like(right))
        return torch.where(counts > 0, right_counts / counts, torch.inf).amin(-1)
