"""iMAML: Rajeswaran et al., "Meta-Learning with Implicit Gradients", NeurIPS 2019 (arXiv 1909.04630)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.func import vjp

from mamlbench.api import (
    EpisodeBatch,
    Examples,
    IntRange,
    LogUniform,
    MetaOptimized,
    MethodContext,
    Model,
    OuterOptimizer,
    OuterOptions,
    OuterUpdate,
    Parameters,
    grad,
    grad_and_value,
)
from mamlbench_plugins.algorithms.presets import load_presets


class IMAMLOptions(OuterOptions):
    """Options of iMAML."""

    inner_lr: Annotated[float, LogUniform(0.03, 2.0)] = Field(
        0.1, gt=0, description="rate of the inner gradient descent"
    )
    train_steps: int = Field(16, ge=1, description="inner steps in training")
    test_steps: int = Field(16, ge=0, description="inner steps in validation and test")
    prox_strength: Annotated[float, LogUniform(0.1, 10.0)] = Field(
        2.0, gt=0, description="λ: how strongly a task is held to the initialization"
    )
    cg_steps: Annotated[int, IntRange(1, 5)] = Field(
        5, ge=1, description="conjugate-gradient iterations for the meta-gradient, a fixed number"
    )


class IMAML(MetaOptimized[Parameters, IMAMLOptions]):
    """Solves each task near the initialization θ, and differentiates the solution, not the way there.

    Algorithm 1:
    2: while not converged do
    3:   sample a batch of tasks                                 (the task sampler)
    4:   for each task: g_i = Implicit-Meta-Gradient(task, θ, λ)  ``task_update``, mapped by the engine
    6:   θ ← θ − η (mean of g_i)                                 the outer optimizer
    Algorithm 2, Implicit-Meta-Gradient:
    2:   φ ≈ argmin L̂(φ) + λ/2 ‖φ − θ‖²  (L̂: ``inner_loss``)      ``step``, a fixed number of times
    3:   v = ∇L(φ)                       (L: ``loss``)
    4:   g ≈ (I + 1/λ ∇²L̂(φ))⁻¹ v, by conjugate gradients         ``conjugate_gradient``

    All parameters are adapted, those of batch norm included. The meta-gradient needs the memory of one step, however
    many are taken; it has no order in the sense of MAML.
    """

    Options = IMAMLOptions
    presets = load_presets("imaml")

    def __init__(self, context: MethodContext, options: IMAMLOptions) -> None:
        super().__init__(context, options)
        self._model = context.build(context.objective.outputs)
        self.meta = self._model.initial_parameters()
        self.outer = OuterOptimizer(self.meta, options, context.iterations)
        self.test_steps = options.test_steps

    @property
    def model(self) -> Model:
        return self._model

    def parameters(self, state: Parameters) -> Parameters:
        return state

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """φ starts at θ."""
        return meta

    def step(self, phi: Parameters, support: Examples) -> Parameters:
        """Line 2 of Algorithm 2: one step down L̂(φ) + λ/2 ‖φ − θ‖²."""
        gradient: Parameters = grad(self.inner_loss)(phi, support)
        pull = self.options.prox_strength * (phi - self.meta)
        return phi - self.options.inner_lr * (gradient + pull)

    def inner_loss(self, phi: Parameters, support: Examples) -> Tensor:
        """L̂(φ), on the support set: a scalar."""
        return self.objective.loss(self.model(phi, support.x), support.y)

    def loss(self, phi: Parameters, query: Examples) -> Tensor:
        """L(φ), on the query set: a scalar."""
        return self.objective.loss(self.model(phi, query.x), query.y)

    def task_update(self, support: Examples, query: Examples) -> tuple[Parameters, Tensor]:
        """Algorithm 2 for ONE task: g, and the query loss at φ."""
        phi = self.init(self.meta, support)
        for _ in range(self.options.train_steps):
            phi = self.step(phi, support)
        v, loss = grad_and_value(self.loss)(phi, query)
        # the Hessian is symmetric, so that the vector-Jacobian product of the gradient is its product with a vector
        _, hessian, *_ = vjp(lambda phi: grad(self.inner_loss)(phi, support), phi)

        def matrix(p: Parameters) -> Parameters:
            """(I + 1/λ ∇²L̂(φ)) p."""
            product: Parameters = hessian(p)[0]
            return p + product / self.options.prox_strength

        return conjugate_gradient(matrix, v, self.options.cg_steps), loss

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Line 4 of Algorithm 1: g_i, summed over the tasks."""
        gradients, losses = self.engine.map(self.task_update, batch.support, batch.query)  # each [T, ...]
        return OuterUpdate(gradients.map(lambda g: g.sum(0)), losses.sum(), batch.tasks)


def conjugate_gradient(A: Callable[[Parameters], Parameters], b: Parameters, steps: int) -> Parameters:
    """Approximate the solution x of ``A(x)`` = b, from x = 0: Nocedal & Wright 2006, Algorithm 5.2.

    The residual r is b − A(x) here and A(x) − b in the book.

    Args:
        A: a symmetric, positive definite linear map.
        b: the right-hand side.
        steps: iterations, a fixed number.
    """
    x = b.map(torch.zeros_like)
    r = p = b
    rr = r.dot(r)
    for _ in range(steps):
        Ap = A(p)
        alpha = _ratio(rr, p.dot(Ap))
        x = x + alpha * p
        r = r - alpha * Ap
        rr, previous = r.dot(r), rr
        beta = _ratio(rr, previous)
        p = r + beta * p
    return x


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, or 0 if b is 0: the solution is exact and stays so."""
    return torch.where(b == 0, torch.zeros_like(a), a / torch.where(b == 0, torch.ones_like(b), b))
