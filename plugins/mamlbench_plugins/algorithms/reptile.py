"""Reptile: Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms" (arXiv 1803.02999), Algorithm 1."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import (
    AdamState,
    EpisodeBatch,
    Examples,
    InnerAdam,
    InnerLoop,
    IntRange,
    LogUniform,
    MethodContext,
    Model,
    OneOf,
    Options,
    OuterUpdate,
    Parameters,
    Schedule,
    copy_into,
    gather,
    grad_and_value,
    minibatch_order,
    prefixed,
    scheduled,
    unprefixed,
)
from mamlbench_plugins.algorithms.presets import load_presets


class ReptileOptions(Options):
    """Options of Reptile."""

    inner_lr: Annotated[float, LogUniform(1e-4, 0.01)] = Field(
        1e-3, gt=0, description="rate of the inner Adam (whose beta1 is 0)"
    )
    train_steps: int = Field(5, ge=1, description="inner minibatch steps k in training")
    inner_batch_size: int = Field(10, ge=1, description="examples in each inner minibatch in training")
    test_steps: Annotated[int, IntRange(5, 50, log=True)] = Field(
        50, ge=0, description="inner minibatch steps in validation and test"
    )
    test_batch_size: int = Field(5, ge=1, description="examples in each inner minibatch in validation and test")
    outer_lr: Annotated[float, LogUniform(0.1, 2.0)] = Field(
        1.0, gt=0, description="interpolation ε towards the adapted parameters at the start"
    )
    outer_schedule: Schedule = Field("linear", description="how ε falls to 0 over the run")
    inner_optimizer_state: Annotated[Literal["fresh", "persistent"], OneOf("fresh", "persistent")] = Field(
        "fresh",
        description="Adam's moments: fresh for each task (vectorized), or run on from task to task as in the original",
    )


class ReptileState(NamedTuple):
    """One task."""

    phi: Parameters  # φ~
    moments: AdamState
    loss: Tensor  # [] of the last minibatch


class Reptile(InnerLoop[ReptileState, ReptileOptions]):
    """Moves the initialization φ towards where a few steps of ordinary training on a task lead.

    1: initialize φ                                              (the harness builds the network)
    2: for iteration = 1, 2, ... do
    3:   sample tasks τ                                          (the task sampler)
    4:   compute φ~ = U^k_τ(φ): k steps of Adam with beta1 = 0   ``step``
    5:   update φ ← φ + ε (φ~ − φ), averaged over the tasks      ``compute_update``, ``apply``
    """

    Options = ReptileOptions
    presets = load_presets("reptile")
    uses_queries = False

    def __new__(cls, context: MethodContext, options: ReptileOptions) -> Reptile:
        """The authors' code, whose Adam runs on from task to task, is a class of its own: ``persistent_reptile.py``."""
        if cls is Reptile and options.inner_optimizer_state == "persistent":
            from mamlbench_plugins.algorithms.persistent_reptile import PersistentReptile

            return super().__new__(PersistentReptile)
        return super().__new__(cls)

    def __init__(self, context: MethodContext, options: ReptileOptions) -> None:
        super().__init__(context, options)
        self._model = context.build(context.objective.outputs)
        self.meta = self._model.initial_parameters()
        self.optimizer = InnerAdam(options.inner_lr, beta1=0, differentiable=False)  # line 5 takes no gradient
        self.test_steps = options.test_steps
        self.done = 0

    @property
    def model(self) -> Model:
        return self._model

    def parameters(self, state: ReptileState) -> Parameters:
        return state.phi

    def init(self, meta: Parameters, support: Examples) -> ReptileState:
        """φ~ starts at φ."""
        return ReptileState(meta, self.optimizer.init(meta), next(iter(meta.values())).new_zeros(()))

    def step(self, state: ReptileState, support: Examples) -> ReptileState:
        """Line 4, one of the k steps: Adam on one minibatch."""
        gradient, loss = grad_and_value(self.inner_loss)(state.phi, support)
        phi, moments = self.optimizer.step(state.phi, gradient, state.moments)
        return ReptileState(phi, moments, loss)

    def inner_loss(self, phi: Parameters, support: Examples) -> Tensor:
        """The loss of a minibatch: a scalar."""
        return self.objective.loss(self.model(phi, support.x), support.y)

    def minibatch(self, support: Examples, keys: Tensor, step: int, *, training: bool) -> Examples:
        """The next few examples of the shuffled support set."""
        examples = support.y.shape[1]
        size = min(self.options.inner_batch_size if training else self.options.test_batch_size, examples)
        return support if size == examples else gather(support, minibatch_order(keys, examples, size, step))

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Line 5: φ~ − φ, summed over the tasks."""
        steps = self.inner_loop(batch.support, batch.keys, self.options.train_steps, training=True)
        (states,) = deque(steps, maxlen=1)  # a list would hold the parameters of T tasks once for every step
        sums = states.phi.map(lambda phi: phi.sum(0)) - batch.tasks * self.meta
        return OuterUpdate(sums, states.loss.sum(), batch.tasks)

    def apply(self, update: OuterUpdate) -> None:
        """Line 5: φ ← φ + ε (φ~ − φ)."""
        epsilon = self.options.outer_lr * scheduled(self.options.outer_schedule, self.done, self.context.iterations)
        self.meta = self.meta + epsilon * update.mean
        self.done += 1

    def state(self) -> dict[str, Tensor]:
        return {**prefixed("meta", self.meta), "done": torch.tensor(self.done)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        copy_into(self.meta, unprefixed("meta", state))
        self.done = int(state["done"])
