"""Nearest neighbor: each query gets the class of the support example whose features are the most similar."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mamlbench.api import Parameters
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import SupportHead, SupportHeadOptions, one_hot

NO_EXAMPLE = -2.0
"""Similarity to a class without an example: below every cosine."""


class NearestNeighborOptions(SupportHeadOptions):
    """Options of nearest neighbor."""

    scale: float = Field(10.0, gt=0, description="factor on similarities as logits: it decides no class")


class NearestExample(nn.Module):
    """The largest cosine to an example of each class: features ``[n, d]`` to ``[n, N]``."""

    def __init__(self, linear: nn.Linear, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.examples = nn.Parameter(linear.weight.detach().clone())  # [k, d] features of the support set
        self.members = nn.Parameter(torch.eye(len(linear.weight)))  # [k, N] of zeros and ones

    def forward(self, features: Tensor) -> Tensor:
        cosines = normalize(features) @ normalize(self.examples).T  # [n, k]
        of_class = cosines[:, :, None].where(self.members > 0, NO_EXAMPLE)  # [n, k, N]
        return self.scale * of_class.amax(1)


class NearestNeighbor(SupportHead[NearestNeighborOptions]):
    """Cover & Hart 1967, among features: nothing is adapted by steps.

      f̂ = f(x) / ‖f(x)‖                                  for every example          ``NearestExample``
      p(y = k | x) ∝ exp(scale · max_i f̂(x)ᵀ f̂(x_i))     over the support examples x_i of class k

    With one example of each class it is SimpleShot without centering (L2N). Training by the query loss changes the
    features by those of the nearest examples alone.
    """

    Options = NearestNeighborOptions
    presets = load_presets("nearest_neighbor")

    def make_head(self, linear: nn.Linear) -> nn.Module:
        return NearestExample(linear, self.options.scale).to(linear.weight)

    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """The support set itself: examples ``[k, d]`` and their classes ``[k, N]``."""
        return {"head.examples": features, "head.members": one_hot(y, ways, features)}
