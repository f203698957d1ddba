"""Prototypical networks: Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017."""

from __future__ import annotations

from torch import Tensor

from mamlbench.api import Parameters
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import SupportHead, SupportHeadOptions, class_means


class ProtoNet(SupportHead[SupportHeadOptions]):
    """Learns features in which a class is the mean of its support examples: nothing is adapted by steps.

    With fφ the features (Algorithm 1 of arXiv 1703.05175):
      for each class k:   c_k ← mean of fφ(x) over its support examples       (1), ``solve``
      p(y = k | x)        ∝ exp(−‖fφ(x) − c_k‖²)                              (2), ``loss`` and ``predict``
      update φ by the gradient of −log p over the query set                   by the engine and the outer optimizer

    By section 2.4 the squared distance is a linear head with weights 2 c_k and biases −‖c_k‖², but for ‖fφ(x)‖², which
    all classes share. So the prototypes become the network's head, and every mode of evaluation works.
    """

    presets = load_presets("protonet")

    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """(1), written as the head of section 2.4: weight ``[N, d]`` and bias ``[N]``."""
        return prototype_head(features, y, ways)


def prototype_head(features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
    """The linear head that classifies by the distance to the class means: weight ``[N, d]`` and bias ``[N]``."""
    means = class_means(features, y, ways)
    return {"head.weight": 2 * means, "head.bias": -means.square().sum(1)}
