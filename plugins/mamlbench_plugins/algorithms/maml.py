"""MAML: Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017 (arXiv 1703.03400), Algorithm 2."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from mamlbench.api import Examples, GradientBased, MethodContext, OuterOptions, Parameters, Preset, inner_gradient
from mamlbench_plugins.algorithms.presets import MAML_PRESETS


class InnerOptions(OuterOptions):
    """Options of MAML and of the methods that vary it."""

    inner_lr: float = Field(0.4, gt=0, description="inner learning rate α")
    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: int = Field(3, ge=0, description="inner steps in validation and test")
    loss_reduction: Literal["mean", "per-shot"] = Field(
        "mean",
        description="loss of a set: mean over its examples, or their sum divided by the shots, as in the original "
        "code (its inner rate 0.4 is 2.0 on the mean of five classes)",
    )


class MAMLOptions(InnerOptions):
    """Options of MAML and first-order MAML."""

    adapt_norm: bool = Field(False, description="adapt the batch-norm parameters in the inner loop too")


class MAML(GradientBased):
    """Learns an initialization θ from which one or a few gradient steps solve a task.

    1: randomly initialize θ                                     (the harness builds the network)
    2: while not done do
    3:   sample a batch of tasks                                 (the task sampler)
    4:   for all tasks do                                        (the engine)
    5:     sample K datapoints D from the task                   (the support set)
    6:     evaluate ∇θ L(fθ) using D                             ``step``
    7:     compute adapted parameters θ' = θ − α ∇θ L(fθ)        ``step``
    8:     sample datapoints D' for the meta-update              (the query set)
    9:   end for
    10:  update θ ← θ − β ∇θ Σ L(fθ') using each D'              ``loss``, differentiated by the engine
    """

    Options: ClassVar[type[InnerOptions]] = MAMLOptions
    presets: ClassVar[tuple[Preset, ...]] = MAML_PRESETS
    gradient_order = 2

    def __init__(self, context: MethodContext, options: Any) -> None:
        super().__init__(context, options)
        self.train_steps, self.test_steps = options.train_steps, options.test_steps

    @property
    def adapted(self) -> list[str]:
        """What the inner loop changes. The paper's code meta-learns the batch-norm bias and leaves it alone here."""
        frozen = frozenset() if self.options.adapt_norm else self.model.norm_names
        return [name for name in self.model.names if name not in frozen]

    def init(self, meta: Parameters, support: Examples) -> Any:
        """Every task starts at θ."""
        return meta

    def step(self, state: Any, support: Examples) -> Any:
        """Lines 6 and 7."""
        gradient = inner_gradient(self.loss, state, support, self.adapted)
        return {**state, **{name: state[name] - self.options.inner_lr * slope for name, slope in gradient.items()}}

    def loss(self, state: Any, query: Examples) -> Tensor:
        """L(f) on a support or query set: a scalar."""
        return self.reduced(self.model(self.parameters(state), query.x), query.y)

    def reduced(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss of a set, from outputs ``[n, outputs]`` and its targets."""
        losses = self.objective.losses(outputs, y)  # [n]
        return losses.mean() if self.options.loss_reduction == "mean" else losses.sum() / self.context.shots
