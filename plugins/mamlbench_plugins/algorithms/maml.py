"""MAML: Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017 (arXiv 1703.03400), Algorithm 2."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from mamlbench.api import Examples, GradientBased, IntRange, LogUniform, OuterOptions, Parameters, grad
from mamlbench_plugins.algorithms.loss_reduction import LossReduction, query_loss, support_loss
from mamlbench_plugins.algorithms.presets import load_presets


class MAMLOptions(OuterOptions):
    """Options of MAML and first-order MAML."""

    inner_lr: Annotated[float, LogUniform(0.03, 2.0)] = Field(0.4, gt=0, description="inner learning rate α")
    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: Annotated[int, IntRange(1, 10)] = Field(3, ge=0, description="inner steps in validation and test")
    loss_reduction: LossReduction = "mean"
    adapt_norm: bool = Field(False, description="adapt the batch-norm parameters in the inner loop too")


class MAML(GradientBased[Parameters, MAMLOptions]):
    """Learns an initialization θ from which one or a few gradient steps solve a task.

    1: randomly initialize θ                                     (the harness builds the network)
    2: while not done do
    3:   sample a batch of tasks                                 (the task sampler)
    4:   for all tasks do                                        (the engine)
    5:     sample K datapoints D from the task                   (the support set)
    6:     evaluate ∇θ L(fθ) using D                             ``step``, of ``inner_loss``
    7:     compute adapted parameters θ' = θ − α ∇θ L(fθ)        ``step``
    8:     sample datapoints D' for the meta-update              (the query set)
    9:   end for
    10:  update θ ← θ − β ∇θ Σ L(fθ') using each D'              ``loss``, differentiated by the engine
    """

    Options = MAMLOptions
    presets = load_presets("maml")
    gradient_order = 2

    @property
    def adapted(self) -> list[str]:
        """What the inner loop changes. The paper's code meta-learns the batch-norm bias and leaves it alone here."""
        frozen = frozenset() if self.options.adapt_norm else self.model.norm_names
        return [name for name in self.model.names if name not in frozen]

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """Every task starts at θ."""
        return meta

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """Lines 6 and 7: θ' = θ − α ∇θ L(fθ)."""
        theta = state.select(self.adapted)
        gradient: Parameters = grad(lambda theta: self.inner_loss(state | theta, support))(theta)
        return state | (theta - self.options.inner_lr * gradient)

    def inner_loss(self, state: Parameters, support: Examples) -> Tensor:
        """L(fθ) of line 6, on the support set: a scalar. What is added here changes the inner loop alone."""
        return support_loss(self, self.model(state, support.x), support.y)

    def loss(self, state: Parameters, query: Examples) -> Tensor:
        """L(fθ') of line 10, on the query set: a scalar."""
        return query_loss(self, self.model(state, query.x), query.y)
