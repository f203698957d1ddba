"""ANIL: Raghu, Raghu, Bengio & Vinyals, "Rapid Learning or Feature Reuse?", ICLR 2020 (arXiv 1909.09157), section 4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field
from torch import Tensor

from mamlbench.api import (
    AdaptedTasks,
    Examples,
    GradientBased,
    IntRange,
    LogUniform,
    OuterOptions,
    Parameters,
    grad,
)
from mamlbench_plugins.algorithms.fixed_features import share_query_features
from mamlbench_plugins.algorithms.loss_reduction import LossReduction, query_loss, support_loss
from mamlbench_plugins.algorithms.presets import load_presets


class ANILOptions(OuterOptions):
    """Options of ANIL."""

    inner_lr: Annotated[float, LogUniform(0.03, 3.0)] = Field(
        0.4, gt=0, description="inner learning rate α of the head"
    )
    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: Annotated[int, IntRange(1, 10)] = Field(3, ge=0, description="inner steps in validation and test")
    loss_reduction: LossReduction = "mean"


class ANILState(NamedTuple):
    """One task: the head that its inner loop changes, and what stays."""

    head: Parameters  # θ_head
    body: Parameters  # θ_body; empty at test time, where it is the shared one
    features: Tensor  # [n, d] of the support set: the body stays, so they are computed once


class ANIL(GradientBased[ANILState, ANILOptions]):
    """MAML with Almost No Inner Loop: only the head is adapted, the body is learned in the outer loop alone.

    θ = (θ_body, θ_head):
      inner loop:  θ_head ← θ_head − α ∇θ_head L(support), θ_body as it is    ``step``, of ``inner_loss``
      outer loop:  θ ← θ − β ∇θ Σ L(query), body and head                     ``loss``, differentiated by the engine

    The same at training and at test time (the paper's "ANIL" row; its "NIL" has no inner loop at test time either).
    """

    Options = ANILOptions
    presets = load_presets("anil")
    gradient_order = 2

    def init(self, meta: Parameters, support: Examples) -> ANILState:
        """The shared body's features of the support set, under the shared head."""
        head = meta.select(name for name in meta if name.startswith("head."))
        body = meta.select(name for name in meta if name not in head)
        return ANILState(head, body, self.model.features(meta, support.x))

    def initial_state(self, support: Examples) -> ANILState:
        """The same without the body: no gradient is taken, and no task needs a copy."""
        return self.init(self.meta, support)._replace(body=Parameters())

    def step(self, state: ANILState, support: Examples) -> ANILState:
        """θ_head ← θ_head − α ∇θ_head L(support)."""
        gradient: Parameters = grad(lambda head: self.inner_loss(state._replace(head=head), support))(state.head)
        return state._replace(head=state.head - self.options.inner_lr * gradient)

    def inner_loss(self, state: ANILState, support: Examples) -> Tensor:
        """L(support), by the features that the state has of it: a scalar."""
        return support_loss(self, self.model.head(state.head, state.features), support.y)

    def loss(self, state: ANILState, query: Examples) -> Tensor:
        """L(query): a scalar."""
        return query_loss(self, self.model(self.parameters(state), query.x), query.y)

    def parameters(self, state: ANILState) -> Parameters:
        return self.meta | state.body | state.head

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks[ANILState]]:
        return share_query_features(self, super().adaptation(support, keys), support)
