"""Meta-SGD: Li, Zhou, Chen & Li, "Learning to Learn Quickly for Few-Shot Learning" (arXiv 1707.09835), Algorithm 1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field

from mamlbench.api import Examples, Parameters, grad
from mamlbench_plugins.algorithms.maml import MAML, MAMLOptions
from mamlbench_plugins.algorithms.presets import META_SGD_PRESETS


class MetaSGDOptions(MAMLOptions):
    """Options of Meta-SGD."""

    inner_lr: float = Field(0.4, gt=0, description="inner rate α of every single weight before training")
    test_steps: int = Field(1, ge=0, description="inner steps in validation and test")


class State(NamedTuple):
    """A task on its way, with the rates in its luggage."""

    theta: Parameters
    alpha: Parameters  # one rate for each adapted weight, of its shape


class MetaSGD(MAML):
    """Learns where the inner step starts, θ, and its direction and length for each single weight, α.

    1: initialize θ, α                                           ``initial_meta``
    2: while not done do
    3:   sample a batch of tasks                                 (the task sampler)
    4:   for all tasks do                                        (the engine)
    5:     L_train(θ) ← loss on the support set                   ``step``
    6:     θ' ← θ − α ∘ ∇L_train(θ)                               ``step``
    7:     L_test(θ') ← loss on the query set                     ``loss``
    9:   (θ, α) ← (θ, α) − β ∇(θ, α) Σ L_test(θ')                 by the engine and the outer optimizer

    The rates are not kept positive: a negative one turns a weight's direction round, as in the paper. The paper draws
    them at random at first; here all start at ``inner_lr``. Batch-norm parameters have none and are not adapted, as
    in MAML, unless ``adapt_norm``.
    """

    Options = MetaSGDOptions
    presets = META_SGD_PRESETS

    def initial_meta(self) -> Parameters:
        """Line 1: θ as built, and α."""
        theta = self.model.initial_parameters()
        return {**theta, **{f"alpha.{n}": torch.full_like(theta[n], self.options.inner_lr) for n in self.adapted}}

    def init(self, meta: Parameters, support: Examples) -> State:
        """Every task starts at θ."""
        alpha = {name: meta[f"alpha.{name}"] for name in self.adapted}
        return State({name: value for name, value in meta.items() if not name.startswith("alpha.")}, alpha)

    def step(self, state: State, support: Examples) -> State:
        """Lines 5 and 6."""
        theta, alpha = state
        moving = {name: theta[name] for name in alpha}
        slope = grad(lambda moving: self.loss(State({**theta, **moving}, alpha), support))(moving)
        return State({**theta, **{name: moving[name] - alpha[name] * slope[name] for name in moving}}, alpha)

    def parameters(self, state: State) -> Parameters:
        return state.theta
