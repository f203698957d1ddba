"""learn2learn's MAML and MetaSGD: clone, adapt, and one backward pass through it all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import (
    EpisodeBatch,
    Examples,
    MethodContext,
    OuterOptimizer,
    OuterOptions,
    OuterUpdate,
    Preset,
    prefixed,
    unprefixed,
)
from mamlbench_learn2learn.base import Learn2LearnAlgorithm
from mamlbench_learn2learn.library import learn2learn

SOURCE = "the quick preset of mamlbench's own method, so that the two can be compared"


def _quick(iterations: int) -> tuple[Preset, ...]:
    options = {"inner_lr": 0.4, "outer_lr": 0.003, "outer_schedule": "cosine"}
    return (Preset(name="quick", source=SOURCE, iterations=iterations, meta_batch_size=32, options=options),)


EXAMPLE = Preset(
    name="learn2learn",
    dataset="omniglot",
    ways=5,
    shots=1,
    source="learn2learn, examples/vision/maml_omniglot.py and learn2learn/vision/models/cnn4.py (OmniglotCNN)",
    iterations=60_000,
    meta_batch_size=32,
    train_queries=1,
    validations=1,
    options={"inner_lr": 0.5, "train_steps": 1, "test_steps": 1, "outer_lr": 0.003},
    backbone_options={"width": 64, "scale": True, "head_init": "normal"},
    sampler="fixed-pool",
    sampler_options={"tasks": 20_000},
    protocol={"queries": 1},
    differences=(
        "batch norm's scale begins at 1, there at a random number from 0 to 1",
        "its convolutions have no bias, which batch norm takes out again; there they have one",
    ),
)
"""The settings of learn2learn's own example on Omniglot, with its convolutional network."""


class Learn2LearnOptions(OuterOptions):
    """Options of all methods here."""

    inner_lr: float = Field(0.4, gt=0, description="rate of learn2learn's adapt; for Meta-SGD the first rates")
    train_steps: int = Field(1, ge=0, description="inner steps in training")
    test_steps: int = Field(3, ge=0, description="inner steps in validation and test")


class Learn2LearnMAML(Learn2LearnAlgorithm):
    """learn2learn.algorithms.MAML around the whole network.

    It adapts every parameter, those of batch norm included: mamlbench's own method does so with adapt_norm=true.
    """

    Options = Learn2LearnOptions
    presets: ClassVar[tuple[Preset, ...]] = (*_quick(700), EXAMPLE)
    gradient_order: ClassVar[int | None] = 2

    def __init__(self, context: MethodContext, options: Learn2LearnOptions) -> None:
        super().__init__(context, options)
        self.outer = OuterOptimizer(self.meta, options, context.iterations)

    def wrapped(self) -> Any:
        """The learn2learn object that is cloned for each task."""
        return learn2learn.algorithms.MAML(self.network, lr=self.options.inner_lr, first_order=self.gradient_order == 1)

    def inputs(self, x: Tensor) -> Tensor:
        """What the learn2learn object takes, from the examples of a set."""
        return x

    def parameters(self, learner: Any) -> dict[str, Tensor]:
        """The network's parameters in a clone."""
        return dict(learner.module.named_parameters())

    def task_loss(self, support: Examples, query: Examples) -> Tensor:
        """Query loss of ONE task after ``train_steps`` steps, with its graph: learn2learn's fast adaptation."""
        learner, seen = self.wrapped().clone(), self.inputs(support.x)
        for _ in range(self.options.train_steps):
            _adapt(learner, self.objective.loss(learner(seen), support.y))
        return self.objective.loss(learner(self.inputs(query.x)), query.y)

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Gradients of the query losses, summed over the tasks by backward()."""
        total = batch.support.x.new_zeros(())
        for leaf in self.leaves.values():
            leaf.grad = torch.zeros_like(leaf)
        with torch.enable_grad():
            for task in zip(*batch.support, *batch.query, strict=True):
                loss = self.task_loss(Examples(*task[:2]), Examples(*task[2:]))
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        sums = {name: leaf.grad for name, leaf in self.leaves.items() if leaf.grad is not None}
        for leaf in self.leaves.values():
            leaf.grad = None
        return OuterUpdate(sums, total, batch.tasks)

    def apply(self, update: OuterUpdate) -> None:
        self.outer.step(update.mean)

    def adapted(self, support: Examples, key: Tensor) -> Iterator[dict[str, Tensor]]:
        learner, seen = self.wrapped().clone(), self.inputs(support.x)
        while True:
            _adapt(learner, self.objective.loss(learner(seen), support.y), first_order=True)
            yield self.parameters(learner)

    def outer_state(self) -> dict[str, Tensor]:
        return prefixed("outer", self.outer.state())

    def load_outer_state(self, state: dict[str, Tensor]) -> None:
        self.outer.load_state(unprefixed("outer", state))


class Learn2LearnFOMAML(Learn2LearnMAML):
    """learn2learn.algorithms.MAML with first_order=True."""

    presets = _quick(1000)
    gradient_order = 1


class Learn2LearnMetaSGD(Learn2LearnMAML):
    """learn2learn.algorithms.MetaSGD: MAML with a learned rate for every weight, those of batch norm included."""

    presets = _quick(700)

    def extra_leaves(self) -> dict[str, nn.Parameter]:
        names = {name: f"lrs.{name}" for name, _ in self.network.named_parameters()}
        first = learn2learn.algorithms.MetaSGD(self.network, lr=self.options.inner_lr).lrs
        return dict(zip(names.values(), first, strict=True))

    def wrapped(self) -> Any:
        rates = nn.ParameterList([self.leaves[f"lrs.{name}"] for name, _ in self.network.named_parameters()])
        return learn2learn.algorithms.MetaSGD(self.network, lrs=rates)


class Learn2LearnANIL(Learn2LearnMAML):
    """ANIL as in learn2learn's example: learn2learn.algorithms.MAML around the head, on the features of the body.

    The example takes support and query features in one pass, so that batch norm sees both. Here each set is
    normalized by itself, as the protocol says.
    """

    presets = _quick(700)

    def wrapped(self) -> Any:
        return learn2learn.algorithms.MAML(self.network.head, lr=self.options.inner_lr)

    def inputs(self, x: Tensor) -> Tensor:
        return self.network.features(x)  # type: ignore[no-any-return, operator]

    def parameters(self, learner: Any) -> dict[str, Tensor]:
        head = {f"head.{name}": value for name, value in learner.module.named_parameters()}
        return {**dict(self.network.named_parameters()), **head}


def _adapt(learner: Any, loss: Tensor, **settings: Any) -> None:
    """One inner step. MetaSGD keeps gradients on tensors that are no leaves, which torch warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
        learner.adapt(loss, **settings)
