"""Linear probe: pretraining, then logistic regression on each task's support features (Tian et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mamlbench.api import (
    AdaptedTasks,
    Classification,
    Examples,
    LogUniform,
    MethodContext,
    OuterOptions,
    Parameters,
    grad,
)
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.fixed_features import share_query_features
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.pretrain import PooledTraining

CURVATURE = 0.5
"""Bound on the second derivative of the cross-entropy by the logits."""


class LinearProbeOptions(OuterOptions):
    """Options of the linear probe."""

    inverse_penalty: Annotated[float, LogUniform(0.01, 100.0)] = Field(
        1.0, gt=0, description="C: 1/(2 C n) ‖W‖² is added to the mean loss of n examples"
    )
    test_steps: int = Field(100, ge=0, description="steps of accelerated gradient descent in validation and test")


class LinearProbeState(NamedTuple):
    """One task."""

    head: Parameters
    ahead: Parameters  # where the next gradient is taken
    number: Tensor  # [], steps taken


class ProbeHead(nn.Module):
    """A linear layer on normalized features: ``[n, d]`` to ``[n, N]``."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros_like(linear.weight))
        self.bias = nn.Parameter(torch.zeros_like(linear.weight[:, 0]))

    def forward(self, features: Tensor) -> Tensor:
        return normalize(features) @ self.weight.T + self.bias


class LinearProbe(PooledTraining[LinearProbeState, LinearProbeOptions]):
    """Pretraining, then a regularized logistic regression on fixed, normalized features.

    Training stage:  minimize the loss of one network on minibatches of all training classes
    Test stage:      minimize mean cross-entropy + 1/(2 C n) ‖W‖² over the head, from zeros        ``step``

    The problem is convex and smooth: the steps are Nesterov's, with the rate that its smoothness allows, so no rate
    has to be tuned. The paper (arXiv 2003.11539) solves it by L-BFGS.
    """

    Options = LinearProbeOptions
    presets = load_presets("linear_probe")
    equivariant = True

    def __init__(self, context: MethodContext, options: LinearProbeOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError(
                "linear-probe is a method of classification: it cannot be run on regression; try pretrain."
            )
        super().__init__(context, options)
        linear = self.task_model.network.head
        if type(linear) is not nn.Linear:
            raise ConfigError("the head of the backbone must be one linear layer: the probe puts its own there.")
        self.task_model = self.task_model.with_head(ProbeHead(linear))
        self.new_head = self.task_model.initial_parameters().select(["head.weight", "head.bias"])
        self.test_steps = options.test_steps

    def init(self, meta: Parameters, support: Examples) -> LinearProbeState:
        """A head of zeros."""
        return LinearProbeState(self.new_head, self.new_head, support.x.new_zeros(()))

    def step(self, state: LinearProbeState, support: Examples) -> LinearProbeState:
        """One step of Nesterov's on the features ``[n, d]`` of the support set, which stand in place of x."""
        penalty = 1 / (self.options.inverse_penalty * len(support.y))

        def objective(head: Parameters) -> Tensor:
            loss = self.objective.loss(self.model.head(head, support.x), support.y)
            return loss + penalty / 2 * head["head.weight"].square().sum()

        # normalized features and the one of the bias have a squared length of 2
        head = state.ahead - grad(objective)(state.ahead) / (2 * CURVATURE + penalty)
        momentum = state.number / (state.number + 3)
        return LinearProbeState(head, head + momentum * (head - state.head), state.number + 1)

    def parameters(self, state: LinearProbeState) -> Parameters:
        return self.meta | state.head

    def prepare_support(self, support: Examples) -> Examples:
        """Compute the support features once."""
        return Examples(self.engine.map(lambda x: self.model.features(self.meta, x), support.x), support.y)

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks[LinearProbeState]]:
        return share_query_features(self, super().adaptation(support, keys), support)
