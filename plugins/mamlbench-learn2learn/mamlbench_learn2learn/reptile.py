"""Reptile as in learn2learn's example, on its clone_module and detach_module: 0.2.0 has no class for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import (
    EpisodeBatch,
    Examples,
    MethodContext,
    Options,
    OuterUpdate,
    Preset,
    Schedule,
    minibatch_order,
    scheduled,
)
from mamlbench_learn2learn.base import Learn2LearnAlgorithm
from mamlbench_learn2learn.library import learn2learn


class Learn2LearnReptileOptions(Options):
    """Options of Reptile."""

    inner_lr: float = Field(1e-3, gt=0, description="rate of the inner Adam (whose beta1 is 0)")
    train_steps: int = Field(5, ge=1, description="inner minibatch steps in training")
    inner_batch_size: int = Field(10, ge=1, description="examples in each inner minibatch in training")
    test_steps: int = Field(50, ge=0, description="inner minibatch steps in validation and test")
    test_batch_size: int = Field(5, ge=1, description="examples in each inner minibatch in validation and test")
    outer_lr: float = Field(1.0, gt=0, description="interpolation towards the adapted parameters at the start")
    outer_schedule: Schedule = Field("linear", description="how the interpolation falls to 0 over the run")


class Learn2LearnReptile(Learn2LearnAlgorithm):
    """Clones the network, trains the clone with torch's Adam (fresh for each task), and moves towards it."""

    Options = Learn2LearnReptileOptions
    uses_queries = False
    presets = (
        Preset(
            name="quick",
            source="the quick preset of mamlbench's own Reptile, so that the two can be compared",
            iterations=1500,
            meta_batch_size=5,
            train_shots=10,
            train_queries=0,
            options={"inner_lr": 1e-3, "test_steps": 10},
        ),
    )

    def __init__(self, context: MethodContext, options: Learn2LearnReptileOptions) -> None:
        super().__init__(context, options)
        self.done = 0

    def training(self, support: Examples, key: Tensor, size: int) -> Iterator[tuple[nn.Module, Tensor]]:
        """Yield the clone of ONE task and its last minibatch loss after 1, 2, ... steps."""
        learner = learn2learn.clone_module(self.network)
        learn2learn.detach_module(learner, keep_requires_grad=True)
        optimizer = torch.optim.Adam(list(learner.parameters()), lr=self.options.inner_lr, betas=(0.0, 0.999))
        examples = support.y.shape[0]
        step = 0
        while True:
            seen = support
            if size < examples:
                order = minibatch_order(key[None], examples, size, step)[0]
                seen = Examples(support.x[order], support.y[order])
            optimizer.zero_grad()
            loss = self.objective.loss(learner(seen.x), seen.y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            yield learner, loss.detach()

    def adapted(self, support: Examples, key: Tensor) -> Iterator[dict[str, Tensor]]:
        for learner, _ in self.training(support, key, self.options.test_batch_size):
            # a copy: the optimizer goes on in place
            yield {name: value.detach().clone() for name, value in learner.named_parameters()}

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Adapted minus shared parameters, summed over the tasks."""
        sums = {name: torch.zeros_like(value) for name, value in self.meta.items()}
        total: Any = batch.support.x.new_zeros(())
        for x, y, key in zip(*batch.support, batch.keys, strict=True):
            with torch.enable_grad():
                steps = self.training(Examples(x, y), key, self.options.inner_batch_size)
                *_, (learner, loss) = (next(steps) for _ in range(self.options.train_steps))
            for name, value in learner.named_parameters():
                sums[name] += value.detach() - self.meta[name]
            total = total + loss
        return OuterUpdate(sums, total, batch.tasks)

    def apply(self, update: OuterUpdate) -> None:
        step = self.options.outer_lr * scheduled(self.options.outer_schedule, self.done, self.context.iterations)
        for name, move in update.mean.items():
            self.meta[name] += step * move
        self.done += 1

    def outer_state(self) -> dict[str, Tensor]:
        return {"done": torch.tensor(self.done)}

    def load_outer_state(self, state: dict[str, Tensor]) -> None:
        self.done = int(state["done"])
