"""Methods whose outer step is no gradient of the engine: ES-MAML, and Reptile with momentum."""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

import mamlbench
from mamlbench.api import (
    GradientBased,
    InnerLoop,
    Options,
    OuterOptions,
    OuterUpdate,
    Parameters,
    copy_into,
    grad,
    grad_and_value,
    hash64,
    prefixed,
    unprefixed,
)


class ESMAML(GradientBased):
    """MAML whose outer gradient is estimated from values of the outer loss alone.

    Song, Gao, Yang, Choromanski, Pacchiano & Tang, "ES-MAML: Simple Hessian-Free Meta Learning", ICLR 2020
    (arXiv 1910.01215), Algorithm 3 with antithetic samples: for each task and g ~ N(0, I), with U the inner loop,
      ∇ ≈ (L(U(θ + σg)) − L(U(θ − σg))) g / 2σ
    The directions g depend on the keys of the tasks, so that a task's part of the update is its own.
    """

    gradient_order = None

    class Options(OuterOptions):
        """Options of ES-MAML."""

        sigma: float = Field(0.02, gt=0, description="size σ of the perturbations")
        samples: int = Field(4, ge=1, description="pairs of opposite perturbations of each task")
        inner_lr: float = Field(0.4, gt=0, description="inner learning rate")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")
        train_steps: int = Field(1, ge=0, description="inner steps in training")
        test_steps: int = Field(3, ge=0, description="inner steps in validation and test")

    def init(self, meta, support):
        return meta

    def step(self, state, support):
        return state - self.options.inner_lr * grad(self.inner_loss)(state, support)

    def loss(self, state, query):
        return self.objective.loss(self.model(state, query.x), query.y)

    def value(self, theta, support, query):
        """L(U(θ)) of one task."""
        for _ in range(self.train_steps):
            theta = self.step(theta, support)
        return self.loss(theta, query)

    def compute_update(self, batch):
        sigma, samples = self.options.sigma, self.options.samples
        sums, loss = self.meta.map(torch.zeros_like), 0.0

        def estimate(g, support, query):
            up = self.value(self.meta + sigma * g, support, query)
            down = self.value(self.meta - sigma * g, support, query)
            return (up - down) / (2 * sigma) * g, (up + down) / 2

        for sample in range(samples):
            gradients, losses = self.engine.map(estimate, self.directions(batch.keys, sample), *batch[:2])
            sums = sums + gradients.map(lambda value: value.sum(0)) / samples
            loss = loss + losses.sum() / samples
        return OuterUpdate(sums, loss, batch.tasks)

    def directions(self, keys, sample):
        """One g for each of T keys: Parameters with a leading dimension T."""
        seeds = hash64(keys.cpu().numpy().view(np.uint64), sample) >> np.uint64(1)
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

        def normal(value):
            draws = [torch.randn(value.shape, generator=generator) for generator in generators]
            return torch.stack(draws).to(value)

        return self.meta.map(normal)


class MomentumState(NamedTuple):
    """One task of Reptile."""

    phi: Parameters  # φ~
    loss: Tensor  # [] of the support set before the last step


class ReptileMomentum(InnerLoop):
    """Reptile whose outer step takes φ − φ~ for a gradient, with momentum.

    Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms" (arXiv 1803.02999), Algorithm 1 with inner SGD
    on the whole support set; section 2 proposes another optimizer for the outer step. Here it is Polyak's heavy ball:
      v ← μ v + (φ − φ~),  φ ← φ − ε v
    """

    uses_queries = False

    class Options(Options):
        """Options of Reptile with momentum."""

        inner_lr: float = Field(0.05, gt=0, description="inner learning rate")
        outer_lr: float = Field(0.5, gt=0, description="outer rate ε")
        momentum: float = Field(0.5, ge=0, lt=1, description="momentum μ of the outer step")
        train_steps: int = Field(5, ge=1, description="inner steps in training")
        test_steps: int = Field(10, ge=0, description="inner steps in validation and test")

    def __init__(self, context, options):
        super().__init__(context, options)
        self.test_steps = options.test_steps
        self.network = context.build(self.objective.outputs)
        self.meta = self.model.initial_parameters()
        self.velocity = self.meta.map(torch.zeros_like)

    @property
    def model(self):
        return self.network

    def parameters(self, state):
        return state.phi

    def init(self, meta, support):
        return MomentumState(meta, next(iter(meta.values())).new_zeros(()))

    def step(self, state, support):
        gradient, loss = grad_and_value(self.inner_loss)(state.phi, support)
        return MomentumState(state.phi - self.options.inner_lr * gradient, loss)

    def inner_loss(self, phi, support):
        return self.objective.loss(self.model(phi, support.x), support.y)

    def compute_update(self, batch):
        """φ − φ~, summed over the tasks."""
        steps = self.inner_loop(batch.support, batch.keys, self.options.train_steps, training=True)
        (states,) = deque(steps, maxlen=1)
        sums = batch.tasks * self.meta - states.phi.map(lambda phi: phi.sum(0))
        return OuterUpdate(sums, states.loss.sum(), batch.tasks)

    def apply(self, update):
        self.velocity = self.options.momentum * self.velocity + update.mean
        copy_into(self.meta, self.meta - self.options.outer_lr * self.velocity)

    def state(self):
        return prefixed("meta", self.meta) | prefixed("velocity", self.velocity)

    def load_state(self, state):
        copy_into(self.meta, unprefixed("meta", state))
        copy_into(self.velocity, unprefixed("velocity", state))


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("es-maml", ESMAML, summary="zero-order MAML")
    register("reptile-momentum", ReptileMomentum, summary="Reptile with outer momentum")
