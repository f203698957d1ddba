"""Methods that adapt the head alone: the features of a query set are the same after every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from mamlbench.api.algorithm import AdaptedTasks, InnerLoop
from mamlbench.data.episodes import Examples
from mamlbench.run_spec import Mode


class FixedFeatures:
    """Features of T tasks' query sets under the shared parameters ``meta``, computed once for each set and mode.

    Args:
        method: the method that adapts heads without batch norm, and nothing else.
        support: x ``[T, k, *input_shape]``.
    """

    def __init__(self, method: InnerLoop, support: Examples) -> None:
        self.method, self.support = method, support
        self._seen: tuple[Tensor, int] | None = None  # the query set, and how often it had been changed in place
        self._known: dict[Mode, Tensor] = {}

    def of(self, x: Tensor, mode: Mode) -> Tensor:
        """Query examples ``[T, n, *input_shape]`` to features ``[T, n, d]``."""
        if self._seen is None or self._seen[0] is not x or self._seen[1] != x._version:
            self._seen, self._known = (x, x._version), {}
        if mode not in self._known:
            model, meta = self.method.model, self.method.meta
            self._known[mode] = self.method.engine.map(
                lambda support_x, x: model.query_features(meta, support_x, x, mode), self.support.x, x
            )
        return self._known[mode]


class HeadLearner(AdaptedTasks):
    """T tasks whose heads were adapted.

    Args:
        learner: the tasks after some step.
        features: of their query sets; shared by the learners of all steps.
    """

    def __init__(self, learner: AdaptedTasks, features: FixedFeatures) -> None:
        super().__init__(learner.algorithm, learner.states, learner.support)
        self.features = features

    def predict(self, x: Tensor, mode: Mode) -> Tensor:
        """Query examples ``[T, n, *input_shape]`` to outputs ``[T, n, outputs]``."""
        method, features = self.features.method, self.features.of(x, mode)
        if self.states is None:
            return method.engine.map(  # type: ignore[no-any-return]
                lambda support, features: self._outputs(method.initial_state(support), features), self.support, features
            )
        return method.engine.map(self._outputs, self.states, features)  # type: ignore[no-any-return]

    def _outputs(self, state: Any, features: Tensor) -> Tensor:
        return self.features.method.model.head(self.features.method.parameters(state), features)


def share_query_features(
    method: InnerLoop, learners: Iterator[AdaptedTasks], support: Examples
) -> Iterator[AdaptedTasks]:
    """Let the learners of one adaptation share the features of their query sets; batch norm in a head forbids it.

    Args:
        method: a method that leaves everything but the head as it is in ``meta``.
        learners: what ``adaptation`` yields.
        support: x ``[T, k, *input_shape]``.
    """
    if any(name.startswith("head.") for name in method.model.norm_names):
        return learners
    features = FixedFeatures(method, support)
    return (HeadLearner(learner, features) for learner in learners)
