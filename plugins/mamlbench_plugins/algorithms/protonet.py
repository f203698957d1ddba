"""Prototypical networks: Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from mamlbench.api import Classification, Examples, GradientBased, MethodContext, OuterOptions, Parameters
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.presets import load_presets


class ProtoNet(GradientBased[Parameters, OuterOptions]):
    """Learns features in which a class is the mean of its support examples: nothing is adapted by steps.

    With fφ the features (Algorithm 1 of arXiv 1703.05175):
      for each class k:   c_k ← mean of fφ(x) over its support examples       (1), ``with_prototypes``
      p(y = k | x)        ∝ exp(−‖fφ(x) − c_k‖²)                              (2), ``loss`` and ``predict``
      update φ by the gradient of −log p over the query set                   by the engine and the outer optimizer

    By section 2.4 the squared distance is a linear head with weights 2 c_k and biases −‖c_k‖², but for ‖fφ(x)‖², which
    all classes share. So the prototypes become the network's head, and every mode of evaluation works.
    """

    Options = OuterOptions
    presets = load_presets("protonet")
    any_ways = True
    # no inner loop that the meta-gradient could run through; the engine then differentiates without approximation
    gradient_order: ClassVar[int | None] = None  # type: ignore[assignment]

    def __init__(self, context: MethodContext, options: OuterOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError("protonet is a method of classification: it cannot be run on regression; try maml.")
        super().__init__(context, options)
        if type(self.model.network.head) is not nn.Linear:
            raise ConfigError("protonet needs a backbone whose head is one linear layer: it puts the prototypes there.")

    def initial_meta(self) -> Parameters:
        """φ: all but the head."""
        theta = self.model.initial_parameters()
        return theta.select(name for name in theta if not name.startswith("head."))

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """(1) in training, where an episode has ways of its own: section 3.1 trains with more classes than it tests."""
        return self.with_prototypes(meta, support, support.y.shape[0] // self.context.shots)

    def initial_state(self, support: Examples) -> Parameters:
        """(1) at test time."""
        return self.with_prototypes(self.meta, support, self.objective.outputs)

    def with_prototypes(self, meta: Parameters, support: Examples, ways: int) -> Parameters:
        """The prototypes of N classes, written as the head of section 2.4: weight ``[N, d]``, bias ``[N]``."""
        features = self.model.features(meta, support.x)  # [N*K, d]
        classes = torch.arange(ways, device=support.y.device)
        members = (classes[:, None] == support.y).to(features)  # [N, N*K]
        prototypes = members @ features / members.sum(1, keepdim=True)  # [N, d]
        return meta | {"head.weight": 2 * prototypes, "head.bias": -prototypes.square().sum(1)}

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """There are none."""
        return state

    def loss(self, state: Parameters, query: Examples) -> Tensor:
        """(2): −log p, the mean over the query set."""
        return self.objective.loss(self.model(state, query.x), query.y)
