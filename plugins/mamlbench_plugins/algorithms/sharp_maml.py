"""Sharp-MAML: Abbas et al., "Sharpness-Aware Model-Agnostic Meta Learning", ICML 2022 (arXiv 2206.03996)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from mamlbench.api import EpisodeBatch, Examples, LogUniform, MethodContext, OuterUpdate, Parameters, grad
from mamlbench_plugins.algorithms.maml import MAML, MAMLOptions
from mamlbench_plugins.algorithms.presets import load_presets

TINY = 1e-24
"""Added to a squared norm, so that a gradient of zero has a direction of zero."""


class SharpMAMLOptions(MAMLOptions):
    """Options of Sharp-MAML; with both radii 0 it is MAML."""

    inner_radius: Annotated[float, LogUniform(1e-4, 0.1)] = Field(
        0.0005, ge=0, description="α_low: how far an inner step looks for a higher loss"
    )
    outer_radius: float = Field(0.0, ge=0, description="α_up: how far the outer step looks for a higher loss")


class SharpMAML(MAML):
    """MAML that descends the highest loss near its parameters, in the inner loop, the outer one, or both.

    For each task m, with ε_m = α_low ∇L_m(θ) / ‖∇L_m(θ)‖:      the ascent, ``uphill``
      θ' = θ − β_low ∇L_m(θ + ε_m)                              Sharp-MAML_low, ``step``
    With h the meta-gradient at θ and ε = α_up h / ‖h‖:
      θ ← θ − β_up (meta-gradient at θ + ε)                     Sharp-MAML_up, ``compute_update``

    As in the authors' code, the meta-gradient runs through ε_m, and ε_m is computed again at θ + ε; ε is a constant.
    """

    Options = SharpMAMLOptions
    options: SharpMAMLOptions
    presets = load_presets("sharp_maml")
    gradient_order = 2

    def __init__(self, context: MethodContext, options: SharpMAMLOptions) -> None:
        super().__init__(context, options)
        self.additive = options.outer_radius == 0  # the direction of ε is that of the whole batch

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """θ' = θ − β_low ∇L_m(θ + ε_m)."""

        def loss(theta: Parameters) -> Tensor:
            return self.inner_loss(state | theta, support)

        theta = state.select(self.adapted)
        radius = self.options.inner_radius
        near = theta + uphill(grad(loss)(theta), radius) if radius else theta
        gradient: Parameters = grad(loss)(near)
        return state | (theta - self.options.inner_lr * gradient)

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """The meta-gradient at θ + ε."""
        at_theta = super().compute_update(batch)
        if not self.options.outer_radius:
            return at_theta
        near = self.meta + uphill(Parameters(at_theta.sums), self.options.outer_radius)
        sums, loss = self.engine.meta_gradient(self, near, batch, self.train_steps)
        return OuterUpdate(sums, loss, batch.tasks)


def uphill(gradient: Parameters, radius: float) -> Parameters:
    """The step of length ``radius`` along the gradient, all tensors together."""
    return gradient * (radius / (gradient.dot(gradient) + TINY).sqrt())
