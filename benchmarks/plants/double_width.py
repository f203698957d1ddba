"""Planted: the strided network has twice the filters that its options set."""

from typing import Any

from mamlbench.api import Backbone
from mamlbench_plugins.backbones.conv4 import StridedConv4


def _twice(self: StridedConv4, options: Any) -> None:
    Backbone.__init__(self, options.model_copy(update={"width": 2 * options.width}))


StridedConv4.__init__ = _twice  # type: ignore[method-assign]
