"""Matching networks: Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016 (arXiv 1606.04080)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mamlbench.api import LogUniform, Parameters
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import SupportHead, SupportHeadOptions, one_hot


class MatchingNetworksOptions(SupportHeadOptions):
    """Options of matching networks."""

    scale: Annotated[float, LogUniform(1.0, 100.0)] = Field(
        10.0, gt=0, description="factor on the cosines before the softmax; 1 in the paper"
    )


class Attention(nn.Module):
    """log Σ_i a(x̂, x_i) y_i: features ``[n, d]`` to log-probabilities ``[n, N]``."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        classes = linear.out_features
        self.support = nn.Parameter(linear.weight.detach().clone())  # [k, d], normalized and scaled
        self.labels = nn.Parameter(torch.eye(classes, dtype=linear.weight.dtype))  # [k, N]

    def forward(self, features: Tensor) -> Tensor:
        attention = (normalize(features) @ self.support.T).softmax(-1)
        return (attention @ self.labels).clamp_min(torch.finfo(features.dtype).tiny).log()


class MatchingNetworks(SupportHead[MatchingNetworksOptions]):
    """Classifies a query by the labels of the support set, weighted by an attention over its examples.

    P(ŷ | x̂, S) = Σ_i a(x̂, x_i) y_i                       (1), ``Attention``
    a(x̂, x_i)   = softmax over i of c(f(x̂), g(x_i))        section 2.1.1, c the cosine; f = g, the backbone's features
    update f by the gradient of −log P over the query set   (2), by the engine and the outer optimizer

    Without full context embeddings (section 2.1.2), in which f and g would depend on the whole support set.
    """

    Options = MatchingNetworksOptions
    presets = load_presets("matching_networks")

    def make_head(self, linear: nn.Linear) -> nn.Module:
        return Attention(linear)

    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """g(x_i), normalized and scaled, and the labels."""
        return {"head.support": self.options.scale * normalize(features), "head.labels": one_hot(y, ways, features)}
