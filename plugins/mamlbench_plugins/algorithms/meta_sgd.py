"""Meta-SGD: Li, Zhou, Chen & Li, "Learning to Learn Quickly for Few-Shot Learning" (arXiv 1707.09835), Algorithm 1."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import Examples, GradientBased, IntRange, LogUniform, OuterOptions, Parameters, grad
from mamlbench_plugins.algorithms.loss_reduction import LossReduction, query_loss, support_loss
from mamlbench_plugins.algorithms.presets import load_presets


class MetaSGDOptions(OuterOptions):
    """Options of Meta-SGD."""

    inner_lr: Annotated[float, LogUniform(0.03, 2.0)] = Field(
        0.4, gt=0, description="inner rate α of every single weight before training"
    )
    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: Annotated[int, IntRange(1, 5)] = Field(1, ge=0, description="inner steps in validation and test")
    loss_reduction: LossReduction = "mean"
    adapt_norm: bool = Field(False, description="adapt the batch-norm parameters in the inner loop too")


class MetaSGDState(NamedTuple):
    """One task: its parameters and the rates it is adapted with."""

    theta: Parameters
    alpha: Parameters  # one rate for each adapted weight, of its shape


class MetaSGD(GradientBased[MetaSGDState, MetaSGDOptions]):
    """Learns where the inner step starts, θ, and its direction and length for each single weight, α.

    1: initialize θ, α                                           ``initial_meta``
    2: while not done do
    3:   sample a batch of tasks                                 (the task sampler)
    4:   for all tasks do                                        (the engine)
    5:     L_train(θ) ← loss on the support set                   ``inner_loss``
    6:     θ' ← θ − α ∘ ∇L_train(θ)                               ``step``
    7:     L_test(θ') ← loss on the query set                     ``loss``
    9:   (θ, α) ← (θ, α) − β ∇(θ, α) Σ L_test(θ')                 by the engine and the outer optimizer

    The rates are not kept positive: a negative one turns a weight's direction round, as in the paper. The paper draws
    them at random at first; here all start at ``inner_lr``. Batch-norm parameters have none and are not adapted, as
    in MAML, unless ``adapt_norm``.
    """

    Options = MetaSGDOptions
    presets = load_presets("meta_sgd")
    gradient_order = 2

    @property
    def adapted(self) -> list[str]:
        """What the inner loop changes."""
        frozen = frozenset() if self.options.adapt_norm else self.model.norm_names
        return [name for name in self.model.names if name not in frozen]

    def initial_meta(self) -> Parameters:
        """Line 1: θ as built, and α."""
        theta = self.model.initial_parameters()
        return theta | {f"alpha.{n}": torch.full_like(theta[n], self.options.inner_lr) for n in self.adapted}

    def init(self, meta: Parameters, support: Examples) -> MetaSGDState:
        """Every task starts at θ."""
        alpha = Parameters({name: meta[f"alpha.{name}"] for name in self.adapted})
        return MetaSGDState(meta.select(self.model.names), alpha)

    def step(self, state: MetaSGDState, support: Examples) -> MetaSGDState:
        """Lines 5 and 6: θ' ← θ − α ∘ ∇L_train(θ)."""
        theta = state.theta.select(self.adapted)
        gradient: Parameters = grad(lambda theta: self.inner_loss(state._replace(theta=state.theta | theta), support))(
            theta
        )
        return state._replace(theta=state.theta | (theta - state.alpha * gradient))

    def inner_loss(self, state: MetaSGDState, support: Examples) -> Tensor:
        """L_train of line 5, on the support set: a scalar."""
        return support_loss(self, self.model(state.theta, support.x), support.y)

    def loss(self, state: MetaSGDState, query: Examples) -> Tensor:
        """L_test of line 7, on the query set: a scalar."""
        return query_loss(self, self.model(state.theta, query.x), query.y)

    def parameters(self, state: MetaSGDState) -> Parameters:
        return state.theta
