"""SimpleShot: Wang et al., "SimpleShot: Revisiting Nearest-Neighbor Classification", 2019 (arXiv 1911.04623)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mamlbench.api import Classification, Examples, MethodContext, OneOf, OuterOptions, OuterUpdate, Parameters
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.pretrain import PooledTraining
from mamlbench_plugins.algorithms.support_heads import class_means

CENTER = "center"
"""Name of the mean feature among what is learned."""
MOMENTUM = 0.9
"""Of the mean feature over minibatches."""


class SimpleShotOptions(OuterOptions):
    """Options of SimpleShot."""

    transform: Annotated[Literal["CL2N", "L2N", "UN"], OneOf("CL2N", "L2N", "UN")] = Field(
        "CL2N", description="of features: centered and normalized, normalized, or as they are"
    )


class NearestCentroid(nn.Module):
    """−‖g(f) − c_k‖² but for what all classes share: features ``[n, d]`` to ``[n, N]``."""

    def __init__(self, linear: nn.Linear, transform: str) -> None:
        super().__init__()
        self.transform = transform
        self.center = nn.Parameter(torch.zeros_like(linear.weight[0]))  # [d]
        self.weight = nn.Parameter(linear.weight.detach().clone())  # [N, d], twice the centroids
        self.bias = nn.Parameter(torch.zeros_like(linear.weight[:, 0]))  # [N]

    def forward(self, features: Tensor) -> Tensor:
        return transformed(features, self.center, self.transform) @ self.weight.T + self.bias


class SimpleShot(PooledTraining[Parameters, SimpleShotOptions]):
    """Pretraining, then the nearest class mean among transformed features: nothing is adapted by steps.

    Training stage:  minimize the loss of one network on minibatches of all training classes              (1)
    Test stage:      x̂ ← x − x̄, with x̄ the mean feature of training images (centering)                  section 2
                     x̂ ← x̂ / ‖x̂‖ (L2-normalization)                                                     ``transformed``
                     ŷ = argmin_k ‖x̂ − c_k‖, with c_k the mean of class k's transformed support features  (2), (3)

    x̄ is the mean of minibatches' means with momentum 0.9; in the authors' code it is the mean of one pass at the end.
    """

    Options = SimpleShotOptions
    presets = load_presets("simpleshot")
    equivariant = True
    test_steps = 0

    def __init__(self, context: MethodContext, options: SimpleShotOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError("SimpleShot is a method of classification: it cannot be run on regression; try pretrain.")
        super().__init__(context, options)
        linear = self.task_model.network.head
        if type(linear) is not nn.Linear:
            raise ConfigError("the head of the backbone must be one linear layer: SimpleShot puts centroids there.")
        self.task_model = self.task_model.with_head(NearestCentroid(linear, options.transform))
        self.meta = self.meta | {CENTER: torch.zeros_like(linear.weight[0])}  # the outer optimizer has the others

    def compute_update(self, batch: Examples) -> OuterUpdate:
        """(1), and the sum of the features."""
        update = super().compute_update(batch)
        with torch.no_grad():
            features = self.pooled_model.features(self.meta, batch.x)  # [n, d]
        return update._replace(sums={**update.sums, CENTER: features.sum(0)})

    def apply(self, update: OuterUpdate) -> None:
        """The outer step, and the mean feature."""
        super().apply(update)
        self.meta[CENTER].lerp_(update.mean[CENTER], 1 - MOMENTUM)

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """The class means of transformed features as the head; nearest by (2)."""
        theta, center = meta.select(name for name in self.model.names if name.startswith("features.")), meta[CENTER]
        features = transformed(self.model.features(theta, support.x), center, self.options.transform)
        means = class_means(features, support.y, self.objective.outputs)
        head = {"head.center": center, "head.weight": 2 * means, "head.bias": -means.square().sum(1)}
        return theta | head

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """There are none."""
        return state

    def parameters(self, state: Parameters) -> Parameters:
        return state


def transformed(features: Tensor, center: Tensor, transform: str) -> Tensor:
    """Section 2: features ``[n, d]`` minus the mean ``[d]``, each divided by its length; or as they are."""
    if transform == "UN":
        return features
    return normalize(features - center if transform == "CL2N" else features)
