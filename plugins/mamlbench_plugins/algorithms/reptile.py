"""Reptile: Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms" (arXiv 1803.02999), Algorithm 1."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import (
    EpisodeBatch,
    Examples,
    InnerLoop,
    MethodContext,
    Model,
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
    tree_map,
    unprefixed,
)
from mamlbench_plugins.algorithms.presets import REPTILE_PRESETS

BETA2, EPSILON = 0.999, 1e-8  # Adam's usual values, which the original code leaves as they are


class ReptileOptions(Options):
    """Options of Reptile."""

    inner_lr: float = Field(1e-3, gt=0, description="rate of the inner Adam (whose beta1 is 0)")
    train_steps: int = Field(5, ge=1, description="inner minibatch steps k in training")
    inner_batch_size: int = Field(10, ge=1, description="examples in each inner minibatch in training")
    test_steps: int = Field(50, ge=0, description="inner minibatch steps in validation and test")
    test_batch_size: int = Field(5, ge=1, description="examples in each inner minibatch in validation and test")
    outer_lr: float = Field(1.0, gt=0, description="interpolation ε towards the adapted parameters at the start")
    outer_schedule: Schedule = Field("linear", description="how ε falls to 0 over the run")
    inner_optimizer_state: Literal["fresh", "persistent"] = Field(
        "fresh",
        description="Adam's moments: fresh for each task (vectorized), or run on from task to task as in the original",
    )


class Moments(NamedTuple):
    """State of the inner Adam. With beta1 = 0 the first moment is the gradient itself and need not be kept."""

    second: Parameters
    steps: Tensor  # [] float32, number of steps taken


class State(NamedTuple):
    """A task on its way: φ, Adam's moments, and the loss of the last minibatch."""

    phi: Parameters
    moments: Moments
    loss: Tensor


class Reptile(InnerLoop):
    """Moves the initialization φ towards where a few steps of ordinary training on a task lead.

    1: initialize φ                                              (the harness builds the network)
    2: for iteration = 1, 2, ... do
    3:   sample tasks τ                                          (the task sampler)
    4:   compute φ~ = U^k_τ(φ): k steps of Adam with beta1 = 0   ``step``
    5:   update φ ← φ + ε (φ~ − φ), averaged over the tasks      ``direction``, ``apply``
    """

    Options = ReptileOptions
    presets = REPTILE_PRESETS
    uses_queries = False

    def __init__(self, context: MethodContext, options: ReptileOptions) -> None:
        super().__init__(context, options)
        self._model = context.build(context.objective.outputs)
        self.meta = self._model.initial_parameters()
        self.moments = self._fresh_moments()
        self.done = 0
        self.test_steps = options.test_steps
        self.additive = options.inner_optimizer_state == "fresh"

    @property
    def model(self) -> Model:
        return self._model

    def parameters(self, state: State) -> Parameters:
        return state.phi

    def init(self, meta: Parameters, support: Examples) -> State:
        """φ~ starts at φ. The moments are fresh, or those that training has run up ('persistent')."""
        persistent = self.options.inner_optimizer_state == "persistent"
        moments = self.moments if persistent else self._fresh_moments()
        return State(meta, moments, torch.zeros(()).to(moments.steps))

    def step(self, state: State, support: Examples) -> State:
        """Line 4, one step of Adam (Kingma & Ba 2015, Algorithm 1) with beta1 = 0 on one minibatch."""
        phi, (second, steps), _ = state
        gradient, loss = grad_and_value(lambda phi: self.objective.loss(self.model(phi, support.x), support.y))(phi)
        steps = steps + 1
        second = {name: BETA2 * second[name] + (1 - BETA2) * g.square() for name, g in gradient.items()}
        correction = (1 - BETA2**steps).sqrt()
        phi = {
            name: phi[name] - self.options.inner_lr * g / (second[name].sqrt() / correction + EPSILON)
            for name, g in gradient.items()
        }
        return State(phi, Moments(second, steps), loss)

    def minibatch(self, support: Examples, keys: Tensor, step: int, *, training: bool) -> Examples:
        """The next few examples of the shuffled support set."""
        examples = support.y.shape[1]
        size = min(self.options.inner_batch_size if training else self.options.test_batch_size, examples)
        return support if size == examples else gather(support, minibatch_order(keys, examples, size, step))

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Line 5: φ~ − φ, summed over the tasks."""
        if self.options.inner_optimizer_state == "persistent":
            return self._sequential(batch)
        steps = self.inner_loop(batch.support, batch.keys, self.options.train_steps, training=True)
        (states,) = deque(steps, maxlen=1)  # a list would hold the parameters of T tasks once for every step
        sums = {name: states.phi[name].sum(0) - batch.tasks * value for name, value in self.meta.items()}
        return OuterUpdate(sums, states.loss.sum(), batch.tasks)

    def apply(self, update: OuterUpdate) -> None:
        """Line 5: φ ← φ + ε (φ~ − φ)."""
        epsilon = self.options.outer_lr * scheduled(self.options.outer_schedule, self.done, self.context.iterations)
        for name, move in update.mean.items():
            self.meta[name] += epsilon * move
        self.moments = update.carry or self.moments
        self.done += 1

    def _sequential(self, batch: EpisodeBatch) -> OuterUpdate:
        """The original code: only φ is restored between tasks; Adam's moments and step count run on."""
        moments, directions = self.moments, []
        for task in self._one_by_one(batch):
            state = State(self.meta, moments, moments.steps.new_zeros(()))
            for number in range(self.options.train_steps):
                seen = self.minibatch(task.support, task.keys, number, training=True)
                state = self.step(state, Examples(seen.x[0], seen.y[0]))
            sums = {name: state.phi[name] - value for name, value in self.meta.items()}
            moments = state.moments
            directions.append(OuterUpdate(sums, state.loss, 1, moments))
        return sum(directions[1:], directions[0])

    def _one_by_one(self, batch: EpisodeBatch) -> Iterator[Any]:
        for index in range(batch.tasks):
            yield tree_map(lambda leaf, i=index: leaf[i : i + 1], batch)

    def _fresh_moments(self) -> Moments:
        first = next(iter(self.meta.values()))
        return Moments({name: torch.zeros_like(value) for name, value in self.meta.items()}, first.new_zeros(()))

    def state(self) -> dict[str, Tensor]:
        return {
            **prefixed("meta", self.meta),
            **prefixed("second", self.moments.second),
            "steps": self.moments.steps,
            "done": torch.tensor(self.done),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        copy_into(self.meta, unprefixed("meta", state))
        self.moments = Moments(
            {name: value.clone() for name, value in unprefixed("second", state).items()}, state["steps"].clone()
        )
        self.done = int(state["done"])
