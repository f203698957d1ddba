"""MAML++: Antoniou, Edwards & Storkey, "How to train your MAML", ICLR 2019 (arXiv 1810.09502), section 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import (
    EpisodeBatch,
    Examples,
    GradientBased,
    LogUniform,
    OuterOptions,
    OuterUpdate,
    Parameters,
    Schedule,
    Uniform,
    grad,
    tree_map,
)
from mamlbench_plugins.algorithms.loss_reduction import LossReduction, query_loss, support_loss
from mamlbench_plugins.algorithms.presets import load_presets


class MAMLPlusPlusOptions(OuterOptions):
    """Options of MAML++; without all of its five extras it is MAML."""

    inner_lr: Annotated[float, LogUniform(0.03, 2.0)] = Field(
        0.1, gt=0, description="inner rate α of every tensor and step before training"
    )
    train_steps: int = Field(5, ge=1, description="inner steps in training")
    test_steps: int = Field(5, ge=0, description="inner steps in validation and test; the last rates serve for more")
    loss_reduction: LossReduction = "mean"
    learned_rates: bool = Field(True, description="LSLR: learn the inner rate of each tensor and step")
    per_step_norm: bool = Field(True, description="BNWB: batch-norm parameters of their own for each inner step")
    multi_step_fraction: Annotated[float, Uniform(0.0, 1.0)] = Field(
        0.1, ge=0, le=1, description="MSL: part of the run in which the query loss after every inner step counts"
    )
    first_order_fraction: float = Field(0.0, ge=0, le=1, description="DA: part of the run that begins with first order")
    outer_schedule: Schedule = Field("cosine", description="CA: how the outer rate falls to 0 over the run")


class MAMLPlusPlusState(NamedTuple):
    """One task: its parameters, and what is learned for each step."""

    theta: Parameters
    rates: Parameters  # [steps] for each adapted tensor
    norm: Parameters  # [steps, features] for each batch-norm parameter; empty if all steps share them
    number: Tensor  # [] int64, inner steps taken


class MAMLPlusPlus(GradientBased[MAMLPlusPlusState, MAMLPlusPlusOptions]):
    """MAML made stable by the paper's improvements, each an option of its own.

    MSL   the outer loss is Σ_i v_i L(query) after step i; the weights v move to the last    ``Episode``, ``weights``
    DA    first-order gradients at the start of the run, second-order after                    ``step``
    BNWB  each inner step has its own batch-norm bias (and scale, if the backbone has one)      ``parameters``
    LSLR  θ_i = θ_{i−1} − α_i ∇L(support), with a learned rate for each tensor and step         ``step``
    CA    the outer rate follows a cosine                                                      ``outer_schedule``

    Left out: BNRS, running statistics for each step. Batch norm here always normalizes by the current batch (or, in
    the inductive mode, by the support set); the code published with the paper keeps such statistics, but normalizes by
    the batch too. Left out as well: the published score is that of an ensemble of five checkpoints.
    """

    Options = MAMLPlusPlusOptions
    presets = load_presets("maml_plus_plus")
    gradient_order = 2

    @property
    def adapted(self) -> list[str]:
        """All but batch norm, as in the published settings."""
        return [name for name in self.model.names if name not in self.model.norm_names]

    @property
    def per_step(self) -> list[str]:
        """Parameters that each inner step has of its own."""
        return [name for name in self.model.names if name in self.model.norm_names and self.options.per_step_norm]

    def initial_meta(self) -> Parameters:
        """θ, the rates, and the batch-norm parameters once for each inner step."""
        theta, steps = self.model.initial_parameters(), self.options.train_steps
        meta = theta | {n: theta[n].expand(steps, *theta[n].shape).clone() for n in self.per_step}
        rates = {f"rate.{n}": theta[n].new_full((steps,), self.options.inner_lr) for n in self.adapted}
        return meta | (rates if self.options.learned_rates else {})

    def init(self, meta: Parameters, support: Examples) -> MAMLPlusPlusState:
        """Every task starts at θ."""
        theta = meta.select(name for name in self.model.names if name not in self.per_step)
        fixed = support.x.new_full((self.options.train_steps,), self.options.inner_lr)
        rates = Parameters({name: meta.get(f"rate.{name}", fixed) for name in self.adapted})
        number = torch.zeros((), dtype=torch.int64, device=support.x.device)
        return MAMLPlusPlusState(theta, rates, meta.select(self.per_step), number)

    def step(self, state: MAMLPlusPlusState, support: Examples, *, first_order: bool = False) -> MAMLPlusPlusState:
        """LSLR: θ_i = θ_{i−1} − α_i ∇L(support), each tensor at its own rate."""
        # first order: this gradient counts as a constant, the rates and the steps before it do not
        start = tree_map(Tensor.detach, state) if first_order else state
        gradient = grad(lambda theta: self.inner_loss(start._replace(theta=start.theta | theta), support))(
            start.theta.select(self.adapted)
        )
        rates = state.rates.map(lambda rates: self._at(rates, state.number))  # [] for each adapted tensor
        theta = state.theta | (state.theta.select(self.adapted) - rates * gradient)
        return state._replace(theta=theta, number=state.number + 1)

    def inner_loss(self, state: MAMLPlusPlusState, support: Examples) -> Tensor:
        """L(support), under the batch norm of the step about to be taken: a scalar."""
        return support_loss(self, self.model(self._network(state, state.number), support.x), support.y)

    def loss(self, state: MAMLPlusPlusState, query: Examples) -> Tensor:
        """L(query) after a step: a scalar."""
        return query_loss(self, self.model(self.parameters(state), query.x), query.y)

    def parameters(self, state: MAMLPlusPlusState) -> Parameters:
        """BNWB: queries meet the batch norm of the step just taken."""
        return self._network(state, state.number - 1)

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """The outer gradient, with MSL and DA as they stand at this point of the run."""
        done = self.outer.done / max(self.context.iterations, 1)
        v = weights(self.train_steps, done, self.options.multi_step_fraction)
        episode = Episode(self, v, first_order=done < self.options.first_order_fraction)
        sums, loss = self.engine.meta_gradient(episode, self.meta, batch, self.train_steps)
        return OuterUpdate(sums, loss, batch.tasks)

    def _network(self, state: MAMLPlusPlusState, number: Tensor) -> Parameters:
        return state.theta | state.norm.map(lambda values: self._at(values, number))

    def _at(self, values: Tensor, number: Tensor) -> Tensor:
        """``values[number]``, or the nearest there is; an index that may differ from task to task."""
        return values.index_select(0, number.clamp(0, self.options.train_steps - 1).reshape(1))[0]


@dataclass(frozen=True)
class Episode:
    """What the engine differentiates: the states after each step, and the weighted sum of their query losses."""

    method: MAMLPlusPlus
    weights: list[float]
    first_order: bool
    gradient_order: int = 2  # through the whole path; in first order ``step`` holds the gradients constant

    def init(self, meta: Parameters, support: Examples) -> list[MAMLPlusPlusState]:
        """The path begins at θ."""
        return [self.method.init(meta, support)]

    def step(self, path: list[MAMLPlusPlusState], support: Examples) -> list[MAMLPlusPlusState]:
        """One step further."""
        return [*path, self.method.step(path[-1], support, first_order=self.first_order)]

    def loss(self, path: list[MAMLPlusPlusState], query: Examples) -> Tensor:
        """MSL: Σ_i v_i L(query) after step i."""
        losses = [v * self.method.loss(state, query) for v, state in zip(self.weights, path[1:], strict=True) if v]
        return torch.stack(losses).sum()


def weights(steps: int, done: float, multi_step_fraction: float) -> list[float]:
    """v_i after a part ``done`` of the run: equal at first, all on the last step from ``multi_step_fraction`` on."""
    if done >= multi_step_fraction:
        return [0.0] * (steps - 1) + [1.0]
    # the published code leaves the earlier steps 3 % of their weight
    early = max(1 - done / multi_step_fraction, 0.03) / steps
    return [early] * (steps - 1) + [1 - (steps - 1) * early]
