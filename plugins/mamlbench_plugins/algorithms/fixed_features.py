"""Methods that adapt the head alone: the features of a query set are the same after every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from mamlbench.api import AdaptedTasks, Examples, InnerLoop, Mode


class FixedFeatures:
    """Features of T tasks' query sets under the shared parameters ``meta``, computed once for each set and mode.

    Args:
        method: the method, which adapts heads without batch norm and nothing else.
        support: x ``[T, k, *input_shape]``.
    """

    def __init__(self, method: InnerLoop[Any], support: Examples) -> None:
        self.method, self.support = method, support
        self._query: tuple[Tensor, int] | None = None  # the last query set, and its count of in-place changes
        self._features: dict[Mode, Tensor] = {}

    def of(self, x: Tensor, mode: Mode) -> Tensor:
        """Query examples ``[T, n, *input_shape]`` to features ``[T, n, d]``."""
        if self._query is None or self._query[0] is not x or self._query[1] != x._version:
            self._query, self._features = (x, x._version), {}
        if mode not in self._features:
            model, meta = self.method.model, self.method.meta
            self._features[mode] = self.method.engine.map(
                lambda support_x, x: model.query_features(meta, support_x, x, mode), self.support.x, x
            )
        return self._features[mode]


class AdaptedHeads(AdaptedTasks[Any]):
    """T tasks whose heads were adapted.

    Args:
        method: the method.
        adapted: the tasks after some step.
        features: of their query sets; shared by the tasks of all steps.
    """

    def __init__(self, method: InnerLoop[Any], adapted: AdaptedTasks[Any], features: FixedFeatures) -> None:
        super().__init__(method, adapted.states, adapted.support)
        self.method, self.features = method, features

    def predict(self, x: Tensor, mode: Mode) -> Tensor:
        """Query examples ``[T, n, *input_shape]`` to outputs ``[T, n, outputs]``."""
        method, features = self.method, self.features.of(x, mode)
        if self.states is None:
            return method.engine.map(  # type: ignore[no-any-return]
                lambda support, features: self._outputs(method.initial_state(support), features), self.support, features
            )
        return method.engine.map(self._outputs, self.states, features)  # type: ignore[no-any-return]

    def _outputs(self, state: Any, features: Tensor) -> Tensor:
        return self.method.model.head(self.method.parameters(state), features)


def share_query_features(
    method: InnerLoop[Any], adaptation: Iterator[AdaptedTasks[Any]], support: Examples
) -> Iterator[AdaptedTasks[Any]]:
    """Let the tasks after all steps of one adaptation share the features of their query sets.

    Batch norm in a head forbids it: then they are returned as they are.

    Args:
        method: a method that leaves everything but the head as it is in ``meta``.
        adaptation: what ``method.adaptation`` yields.
        support: x ``[T, k, *input_shape]``.
    """
    if any(name.startswith("head.") for name in method.model.norm_names):
        return adaptation
    features = FixedFeatures(method, support)
    return (AdaptedHeads(method, adapted, features) for adapted in adaptation)
