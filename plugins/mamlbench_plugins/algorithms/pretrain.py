"""Pretraining and fine-tuning: "Baseline" of Chen et al., "A Closer Look at Few-shot Classification", ICLR 2019."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import TypeVar

from mamlbench.api import (
    AdaptedTasks,
    Classification,
    Examples,
    InnerSGD,
    IntRange,
    LogUniform,
    MetaOptimized,
    MethodContext,
    Model,
    OuterOptimizer,
    OuterOptions,
    OuterUpdate,
    Parameters,
    SGDState,
    gather,
    grad,
    grad_and_value,
    minibatch_order,
)
from mamlbench_plugins.algorithms.fixed_features import share_query_features
from mamlbench_plugins.algorithms.presets import load_presets

PooledStateT = TypeVar("PooledStateT", default=Any)
"""State of one task of a method that is trained on labeled examples."""
PooledOptionsT = TypeVar("PooledOptionsT", bound=OuterOptions, default=Any)
"""Options of such a method."""


class PooledTraining(MetaOptimized[PooledStateT, PooledOptionsT]):
    """Supervised training on all training classes at once: what comes at test time is for each method to say."""

    trains_on = "examples"
    any_ways = True

    def __init__(self, context: MethodContext, options: PooledOptionsT) -> None:
        super().__init__(context, options)
        self.pooled_model = context.build(context.pooled_objective.outputs)
        self.task_model = context.build(context.objective.outputs)
        self.meta = self.pooled_model.initial_parameters()
        self.outer = OuterOptimizer(self.meta, options, context.iterations)

    @property
    def model(self) -> Model:
        return self.task_model

    def compute_update(self, batch: Examples) -> OuterUpdate:
        """Gradient of the pooled loss, summed over the minibatch."""

        def pooled_loss(meta: Parameters) -> Tensor:
            return self.context.pooled_objective.losses(self.pooled_model(meta, batch.x), batch.y).sum()

        with torch.no_grad():  # nothing differentiates the gradient
            gradient, loss = grad_and_value(pooled_loss)(self.meta.select(self.pooled_model.names))
        return OuterUpdate(gradient, loss, batch.x.shape[0])


class PretrainOptions(OuterOptions):
    """Options of pretraining (the outer ones) and of fine-tuning (SGD with momentum)."""

    finetune: Literal["head", "all"] = Field("head", description="fine-tune the head alone, or all layers")
    test_steps: Annotated[int, IntRange(10, 200, log=True)] = Field(
        100, ge=0, description="fine-tuning steps in validation and test"
    )
    finetune_lr: Annotated[float, LogUniform(0.01, 5.0)] = Field(0.01, gt=0, description="rate of fine-tuning")
    finetune_batch: int | None = Field(None, ge=1, description="examples per fine-tuning step; none: the support set")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of fine-tuning")
    dampening: float = Field(0.9, ge=0, le=1, description="dampening of that momentum")
    weight_decay: float = Field(1e-3, ge=0, description="weight decay of fine-tuning")


class PretrainState(NamedTuple):
    """One task that is fine-tuned."""

    tuned: Parameters  # the parameters that change: those of the head, or all
    optimizer: SGDState


class Pretrain(PooledTraining[PretrainState, PretrainOptions]):
    """Supervised training on all training classes at once; at test a new head on the support set.

    Training stage:     minimize the loss of one network on minibatches of all training classes.
    Fine-tuning stage:  for each task a new linear head (all zeros), trained on the support set by SGD, with the
                        features fixed ('head') or trained along ('all').

    For regression the pooled network is kept whole, head included, and all of it is fine-tuned.
    """

    Options = PretrainOptions
    presets = load_presets("pretrain")

    def __init__(self, context: MethodContext, options: PretrainOptions) -> None:
        super().__init__(context, options)
        self.test_steps = options.test_steps
        self.adapts_features = options.finetune == "all"
        self.tunes_head_only = options.finetune == "head" and isinstance(context.objective, Classification)
        self.optimizer = InnerSGD(options.finetune_lr, options.momentum, options.dampening, options.weight_decay)
        self.new_head = Parameters()  # what a task's head starts from; none for regression, which keeps the pooled one
        if isinstance(context.objective, Classification):
            theta = self.task_model.initial_parameters()
            self.new_head = theta.select(name for name in theta if name.startswith("head.")).map(torch.zeros_like)

    def init(self, meta: Parameters, support: Examples) -> PretrainState:
        """Fine-tuning stage: the pretrained features under a new head."""
        tuned = self.new_head if self.tunes_head_only else meta | self.new_head
        return PretrainState(tuned, self.optimizer.init(tuned))

    def parameters(self, state: PretrainState) -> Parameters:
        return self.meta | state.tuned

    def step(self, state: PretrainState, support: Examples) -> PretrainState:
        """One step of SGD on the support set, or on a minibatch of it."""
        gradient = grad(self.inner_loss)(state.tuned, support)
        return PretrainState(*self.optimizer.step(state.tuned, gradient, state.optimizer))

    def inner_loss(self, tuned: Parameters, support: Examples) -> Tensor:
        """The loss of fine-tuning, a scalar; of features ``[n, d]`` in place of x if only the head is tuned."""
        run = self.model.head if self.tunes_head_only else self.model
        return self.objective.loss(run(self.meta | tuned, support.x), support.y)

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks[PretrainState]]:
        adaptation = super().adaptation(support, keys)
        return share_query_features(self, adaptation, support) if self.tunes_head_only else adaptation

    def prepare_support(self, support: Examples) -> Examples:
        """Compute the support features once if only the head is tuned: its inputs do not change."""
        if not self.tunes_head_only:
            return support
        return Examples(self.engine.map(lambda x: self.model.features(self.meta, x), support.x), support.y)

    def minibatch(self, support: Examples, keys: Tensor, step: int, *, training: bool) -> Examples:
        """The next few examples of the shuffled support set, or all of it."""
        examples = support.y.shape[1]
        size = min(self.options.finetune_batch or examples, examples)
        return support if size == examples else gather(support, minibatch_order(keys, examples, size, step))
