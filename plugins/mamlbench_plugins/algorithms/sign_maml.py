"""Sign-MAML: Fan, Ram & Liu, "Efficient Model-Agnostic Meta-Learning by SignSGD", 2021 (arXiv 2109.07497)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from mamlbench.api import Examples, IntRange, LogUniform, Parameters, grad
from mamlbench_plugins.algorithms.maml import MAML, MAMLOptions
from mamlbench_plugins.algorithms.presets import load_presets


class SignMAMLOptions(MAMLOptions):
    """Options of Sign-MAML."""

    inner_lr: Annotated[float, LogUniform(3e-4, 0.03)] = Field(
        0.0035, gt=0, description="inner learning rate α: how far each weight moves in a step"
    )
    train_steps: int = Field(5, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: Annotated[int, IntRange(1, 10)] = Field(5, ge=0, description="inner steps in validation and test")


class SignMAML(MAML):
    """MAML whose inner step descends along the gradient's signs.

    θ' = θ − α sign(∇θ L(support))                    ``step``
    update θ by ∇θ L(query) at θ'                     ``loss``, differentiated by the engine

    The sign's derivative is zero wherever it has one, so that the gradient at θ' is the exact meta-gradient: that of
    first order, without an approximation. Hence the declared order 2.
    """

    Options = SignMAMLOptions
    presets = load_presets("sign_maml")
    gradient_order = 2

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """θ' = θ − α sign(∇θ L(support))."""
        theta = state.select(self.adapted)
        gradient: Parameters = grad(lambda theta: self.inner_loss(state | theta, support))(theta)
        # without its graph, which the derivative of the sign would multiply by zero
        return state | (theta - self.options.inner_lr * gradient.map(Tensor.detach).map(Tensor.sign))
