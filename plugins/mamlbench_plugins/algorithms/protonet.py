"""Prototypical networks: Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Classification, Examples, GradientBased, MethodContext, OuterOptions, Parameters
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.presets import load_presets


class ProtoNetOptions(OuterOptions):
    """Options of prototypical networks."""

    joint_norm: bool = Field(
        False, description="in training, batch norm sees support and query as one batch, as in the authors' code"
    )


class ProtoNetState(NamedTuple):
    """One task."""

    theta: Parameters  # φ, with the prototypes as the head
    support: tuple[Examples, ...]  # what prototypes are still to be made of, if batch norm is to see the query too


class ProtoNet(GradientBased[ProtoNetState, ProtoNetOptions]):
    """Learns features in which a class is the mean of its support examples: nothing is adapted by steps.

    With fφ the features (Algorithm 1 of arXiv 1703.05175):
      for each class k:   c_k ← mean of fφ(x) over its support examples       (1), ``prototypes``
      p(y = k | x)        ∝ exp(−‖fφ(x) − c_k‖²)                              (2), ``loss`` and ``predict``
      update φ by the gradient of −log p over the query set                   by the engine and the outer optimizer

    By section 2.4 the squared distance is a linear head with weights 2 c_k and biases −‖c_k‖², but for ‖fφ(x)‖², which
    all classes share. So the prototypes become the network's head, and every mode of evaluation works.
    """

    Options = ProtoNetOptions
    presets = load_presets("protonet")
    any_ways = True
    # no inner loop that the meta-gradient could run through; the engine then differentiates without approximation
    gradient_order: ClassVar[int | None] = None  # type: ignore[assignment]

    def __init__(self, context: MethodContext, options: ProtoNetOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError("protonet is a method of classification: it cannot be run on regression; try maml.")
        super().__init__(context, options)
        if type(self.model.network.head) is not nn.Linear:
            raise ConfigError("protonet needs a backbone whose head is one linear layer: it puts the prototypes there.")

    def initial_meta(self) -> Parameters:
        """φ: all but the head."""
        theta = self.model.initial_parameters()
        return theta.select(name for name in theta if not name.startswith("head."))

    def init(self, meta: Parameters, support: Examples) -> ProtoNetState:
        """(1) in training, where an episode has ways of its own: section 3.1 trains with more classes than it tests."""
        if self.options.joint_norm:
            return ProtoNetState(meta, (support,))
        ways = support.y.shape[0] // self.context.shots
        return ProtoNetState(meta | prototypes(self.model.features(meta, support.x), support.y, ways), ())

    def initial_state(self, support: Examples) -> ProtoNetState:
        """(1) at test time."""
        features = self.model.features(self.meta, support.x)  # [N*K, d]
        return ProtoNetState(self.meta | prototypes(features, support.y, self.objective.outputs), ())

    def step(self, state: ProtoNetState, support: Examples) -> ProtoNetState:
        """There are none."""
        return state

    def loss(self, state: ProtoNetState, query: Examples) -> Tensor:
        """(2): −log p, the mean over the query set."""
        if not state.support:
            return self.objective.loss(self.model(state.theta, query.x), query.y)
        ((x, y),) = state.support
        features = self.model.features(state.theta, torch.cat([x, query.x]))  # [N*(K + Q), d]
        head = prototypes(features[: len(y)], y, len(y) // self.context.shots)
        return self.objective.loss(self.model.head(head, features[len(y) :]), query.y)

    def parameters(self, state: ProtoNetState) -> Parameters:
        return state.theta


def prototypes(features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
    """(1), written as the head of section 2.4: weight ``[N, d]`` and bias ``[N]``.

    Args:
        features: of the support set, ``[N*K, d]``.
        y: its classes ``[N*K]``.
        ways: N.
    """
    members = (torch.arange(ways, device=y.device)[:, None] == y).to(features)  # [N, N*K]
    means = members @ features / members.sum(1, keepdim=True)  # [N, d]
    return {"head.weight": 2 * means, "head.bias": -means.square().sum(1)}
