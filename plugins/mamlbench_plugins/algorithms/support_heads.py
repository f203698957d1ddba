"""What methods share whose head is a function of the support set's features, without any step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import TypeVar

from mamlbench.api import Classification, Examples, GradientBased, MethodContext, Model, OuterOptions, Parameters
from mamlbench.errors import ConfigError


class SupportHeadOptions(OuterOptions):
    """Options of every method of this kind."""

    joint_norm: bool = Field(
        False, description="in training, batch norm sees support and query as one batch, as in some authors' code"
    )


SupportHeadOptionsT = TypeVar("SupportHeadOptionsT", bound=SupportHeadOptions, default=Any)
"""Options of a method of this kind."""


class SupportHeadState(NamedTuple):
    """One task."""

    theta: Parameters  # the features' parameters and the head
    learned: Parameters  # what the head is computed with, beside the features
    support: tuple[Examples, ...]  # what the head is still to be made of, if batch norm is to see the query too


class SupportHead(GradientBased[SupportHeadState, SupportHeadOptionsT]):
    """A method of classification that computes a task's head from features: write ``solve``.

    The outer loss, that of the query set, is differentiated through ``solve``. It trains and is tested with any ways.
    """

    Options: ClassVar[type[Any]] = SupportHeadOptions
    any_ways = True
    equivariant = True
    # no inner loop that the meta-gradient could run through; the engine then differentiates without approximation
    gradient_order: ClassVar[int | None] = None  # type: ignore[assignment]

    def __init__(self, context: MethodContext, options: SupportHeadOptionsT) -> None:
        if not isinstance(context.objective, Classification):
            name = type(self).__name__
            raise ConfigError(f"{name} is a method of classification: it cannot be run on regression; try maml.")

        def build(outputs: int) -> Model:
            model = context.build(outputs)
            linear = model.network.head
            if type(linear) is not nn.Linear:
                raise ConfigError("the head of the backbone must be one linear layer: the method puts its own there.")
            head = self.make_head(linear)
            return model if head is None else model.with_head(head)

        super().__init__(replace(context, build=build), options)

    def make_head(self, linear: nn.Linear) -> nn.Module | None:
        """The head that ``solve`` gives values for, from the backbone's; None: that linear layer itself."""
        return None

    def learned(self) -> Mapping[str, Tensor]:
        """What is learned beside the features, by name, as it is before training; a name begins with 'learned.'."""
        return {}

    @abstractmethod
    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """The head's parameters ``head.*`` for one task.

        Args:
            learned: what ``learned`` names, as training left it.
            features: of the support set, ``[n, d]``.
            y: its classes, ``[n]``.
            ways: number of classes N.
        """

    def initial_meta(self) -> Parameters:
        """All but the head, and what else is learned."""
        theta = self.model.initial_parameters()
        return theta.select(name for name in theta if not name.startswith("head.")) | self.learned()

    def init(self, meta: Parameters, support: Examples) -> SupportHeadState:
        """In training, where an episode has ways of its own."""
        theta, learned = self._parts(meta)
        if self.options.joint_norm:
            return SupportHeadState(theta, learned, (support,))
        return self._solved(theta, learned, support, len(support.y) // self.context.shots)

    def initial_state(self, support: Examples) -> SupportHeadState:
        """At test time."""
        return self._solved(*self._parts(self.meta), support, self.objective.outputs)

    def step(self, state: SupportHeadState, support: Examples) -> SupportHeadState:
        """There are none."""
        return state

    def loss(self, state: SupportHeadState, query: Examples) -> Tensor:
        """The loss of the query set: a scalar."""
        if not state.support:
            return self.outer_loss(self.model(state.theta, query.x), query.y)
        ((x, y),) = state.support
        features = self.model.features(state.theta, torch.cat([x, query.x]))  # [N*(K + Q), d]
        head = self.solve(state.learned, features[: len(y)], y, len(y) // self.context.shots)
        return self.outer_loss(self.model.head(head, features[len(y) :]), query.y)

    def outer_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss of outputs ``[n, N]`` for classes ``[n]``: a scalar, the mean cross-entropy unless overridden."""
        return self.objective.loss(outputs, y)

    def parameters(self, state: SupportHeadState) -> Parameters:
        return state.theta

    def _solved(self, theta: Parameters, learned: Parameters, support: Examples, ways: int) -> SupportHeadState:
        head = self.solve(learned, self.model.features(theta, support.x), support.y, ways)
        return SupportHeadState(theta | head, learned, ())

    def _parts(self, meta: Parameters) -> tuple[Parameters, Parameters]:
        learned = [name for name in meta if name.startswith("learned.")]
        return meta.select(name for name in meta if name not in learned), meta.select(learned)


class NormalizedLinear(nn.Module):
    """Inner products of normalized features with one vector for each class: ``[n, d]`` to ``[n, N]``."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().clone())  # [N, d]

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(features) @ self.weight.T


def one_hot(y: Tensor, ways: int, like: Tensor) -> Tensor:
    """Classes ``[n]`` as ``[n, N]`` of zeros and ones, in the type of ``like``."""
    return (y[:, None] == torch.arange(ways, device=y.device)).to(like)


def class_means(features: Tensor, y: Tensor, ways: int) -> Tensor:
    """The mean of each class's features: ``[n, d]`` and ``[n]`` to ``[N, d]``; zero for a class without examples."""
    members = one_hot(y, ways, features).T  # [N, n]
    return members @ features / members.sum(1, keepdim=True).clamp_min(1)
