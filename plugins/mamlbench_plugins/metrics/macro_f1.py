"""F1 averaged over classes."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlbench.api import Metric


class MacroF1(Metric):
    """F1 of each class, averaged over the classes that an episode's queries have or are predicted to have.

    F1 is 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall; it is 0 if nothing of a class is right.
    As ``sklearn.metrics.f1_score(average="macro")``.
    """

    name = "macro F1"
    unit = "%"
    higher_is_better = True

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        predicted = outputs.argmax(-1)  # [T, n]
        ones = torch.ones_like(y, dtype=torch.float32)
        empty = ones.new_zeros(len(y), outputs.shape[-1])  # [T, ways]
        true_positives = empty.scatter_add(1, y, ones * (predicted == y))
        members = empty.scatter_add(1, y, ones).scatter_add(1, predicted, ones)  # 2 TP + FP + FN
        f1 = 2 * true_positives / members.clamp_min(1)
        return f1.sum(-1) / (members > 0).sum(-1)
