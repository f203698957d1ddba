"""ANIL: Raghu, Raghu, Bengio & Vinyals, "Rapid Learning or Feature Reuse?", ICLR 2020 (arXiv 1909.09157), section 4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from mamlbench.api import AdaptedTasks, Examples, Parameters, grad, share_query_features
from mamlbench_plugins.algorithms.maml import MAML, InnerOptions
from mamlbench_plugins.algorithms.presets import ANIL_PRESETS


class State(NamedTuple):
    """A task on its way."""

    head: Parameters  # what the inner loop changes
    body: Parameters  # what it leaves alone; empty where that is the shared body as it stands
    features: Tensor  # [n, d] of the support set: the body stays, so they are computed once


class ANIL(MAML):
    """MAML with Almost No Inner Loop: only the head is adapted, the body is learned in the outer loop alone.

    θ = (θ_body, θ_head):
      inner loop:  θ_head ← θ_head − α ∇θ_head L(support), θ_body as it is    ``step``
      outer loop:  θ ← θ − β ∇θ Σ L(query), body and head                     ``loss``, differentiated by the engine

    The same at training and at test time (the paper's "ANIL" row; its "NIL" has no inner loop at test time either).
    """

    Options = InnerOptions
    presets = ANIL_PRESETS

    @property
    def adapted(self) -> list[str]:
        """The head's parameters."""
        return [name for name in self.model.names if name.startswith("head.")]

    def init(self, meta: Parameters, support: Examples) -> State:
        """The shared body's features of the support set, under the shared head."""
        head = {name: meta[name] for name in self.adapted}
        # at test time no task needs a copy of the body; in training it carries the gradient
        body = {} if meta is self.meta else {name: meta[name] for name in meta if name not in head}
        return State(head, body, self.model.features(meta, support.x))

    def step(self, state: State, support: Examples) -> State:
        """θ_head ← θ_head − α ∇θ_head L(support)."""
        gradient = grad(lambda head: self.reduced(self.model.head(head, state.features), support.y))(state.head)
        return state._replace(
            head={name: value - self.options.inner_lr * gradient[name] for name, value in state.head.items()}
        )

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks]:
        return share_query_features(self, super().adaptation(support, keys), support)

    def parameters(self, state: State) -> Parameters:
        return {**self.meta, **state.body, **state.head}
