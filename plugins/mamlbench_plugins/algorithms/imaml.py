"""iMAML: Rajeswaran et al., "Meta-Learning with Implicit Gradients", NeurIPS 2019 (arXiv 1909.04630)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor
from torch.func import vjp

from mamlbench.api import (
    EpisodeBatch,
    Examples,
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
from mamlbench_plugins.algorithms.presets import IMAML_PRESETS


class IMAMLOptions(OuterOptions):
    """Options of iMAML."""

    inner_lr: float = Field(0.1, gt=0, description="rate of the inner gradient descent")
    train_steps: int = Field(16, ge=1, description="inner steps in training")
    test_steps: int = Field(16, ge=0, description="inner steps in validation and test")
    prox_strength: float = Field(2.0, gt=0, description="λ: how strongly a task is held to the initialization")
    cg_steps: int = Field(5, ge=1, description="conjugate-gradient iterations for the meta-gradient, a fixed number")


class IMAML(MetaOptimized):
    """Solves each task near the initialization θ, and differentiates the solution, not the way there.

    Algorithm 1:
    2: while not converged do
    3:   sample a batch of tasks                                 (the task sampler)
    4:   for each task: g_i = Implicit-Meta-Gradient(task, θ, λ)  ``task_update``, mapped by the engine
    6:   θ ← θ − η (mean of g_i)                                 the outer optimizer
    Algorithm 2, Implicit-Meta-Gradient:
    2:   φ ≈ argmin L̂(φ) + λ/2 ‖φ − θ‖²  (L̂: support set)        ``step``, a fixed number of times
    3:   v = ∇L(φ)                       (L: query set)
    4:   g ≈ (I + 1/λ ∇²L̂(φ))⁻¹ v, by conjugate gradients         ``conjugate_gradient``

    All parameters are adapted, those of batch norm included. The meta-gradient needs the memory of one step, however
    many are taken; it has no order in the sense of MAML.
    """

    Options = IMAMLOptions
    presets = IMAML_PRESETS

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

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """Line 2 of Algorithm 2: one step down L̂(φ) + λ/2 ‖φ − θ‖²."""
        slope = grad(self.loss)(state, support)
        pull = {name: self.options.prox_strength * (state[name] - self.meta[name]) for name in state}
        return {name: state[name] - self.options.inner_lr * (slope[name] + pull[name]) for name in state}

    def loss(self, phi: Parameters, examples: Examples) -> Tensor:
        """Mean loss of a set under φ: a scalar."""
        return self.objective.loss(self.model(phi, examples.x), examples.y)

    def task_update(self, support: Examples, query: Examples) -> tuple[Parameters, Tensor]:
        """Algorithm 2 for ONE task: g, and the query loss at φ."""
        phi = self.init(self.meta, support)
        for _ in range(self.options.train_steps):
            phi = self.step(phi, support)
        v, loss = grad_and_value(self.loss)(phi, query)
        _, hessian, *_ = vjp(lambda phi: grad(self.loss)(phi, support), phi)  # symmetric: pulls back as it pushes

        def matrix(p: Parameters) -> Parameters:
            curved = hessian(p)[0]
            return {name: p[name] + curved[name] / self.options.prox_strength for name in p}

        return conjugate_gradient(matrix, v, self.options.cg_steps), loss

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Line 4 of Algorithm 1: g_i, summed over the tasks."""
        gradients, losses = self.engine.map(self.task_update, batch.support, batch.query)  # each [T, ...]
        return OuterUpdate({name: g.sum(0) for name, g in gradients.items()}, losses.sum(), batch.tasks)


def conjugate_gradient(matrix: Callable[[Parameters], Parameters], b: Parameters, steps: int) -> Parameters:
    """Approximate x with ``matrix(x)`` = b, from x = 0 (Nocedal & Wright 2006, Algorithm 5.2)."""
    x = {name: torch.zeros_like(value) for name, value in b.items()}
    residual = direction = b
    size = _dot(residual, residual)
    for _ in range(steps):
        image = matrix(direction)
        length = _ratio(size, _dot(direction, image))
        x = {name: x[name] + length * direction[name] for name in x}
        residual = {name: residual[name] - length * image[name] for name in x}
        size, before = _dot(residual, residual), size
        direction = {name: residual[name] + _ratio(size, before) * direction[name] for name in x}
    return x


def _dot(a: Parameters, b: Parameters) -> Tensor:
    return torch.stack([(a[name] * b[name]).sum() for name in a]).sum()


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, or 0 where nothing is left to divide: the solution is exact and stays so."""
    return torch.where(b == 0, torch.zeros_like(a), a / torch.where(b == 0, torch.ones_like(b), b))
