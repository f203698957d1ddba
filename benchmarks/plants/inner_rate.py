"""Planted: MAML adapts with ten times the inner rate that its options set."""

from typing import Any

from mamlbench.api import MethodContext
from mamlbench_plugins.algorithms.maml import MAML

_init = MAML.__init__


def _ten_times(self: MAML, context: MethodContext, options: Any) -> None:
    _init(self, context, options.model_copy(update={"inner_lr": 10 * options.inner_lr}))


MAML.__init__ = _ten_times  # type: ignore[method-assign]
