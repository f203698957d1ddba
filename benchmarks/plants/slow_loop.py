"""Planted: MAML's outer iterations take 30 % longer; what they compute is the same."""

import time
from typing import Any

from mamlbench_plugins.algorithms.maml import MAML

LOST = 0.3
_direction, _apply = MAML.direction, MAML.apply


def _timed_direction(self: MAML, batch: Any) -> Any:
    began = time.perf_counter()
    found = _direction(self, batch)
    self.planted_seconds = time.perf_counter() - began  # type: ignore[attr-defined]
    return found


def _slow_apply(self: MAML, direction: Any) -> None:
    began = time.perf_counter()
    _apply(self, direction)
    now = time.perf_counter()
    end = now + LOST * (now - began + self.planted_seconds)  # type: ignore[attr-defined]
    while time.perf_counter() < end:  # busy: the processor's seconds grow as well
        pass


MAML.direction, MAML.apply = _timed_direction, _slow_apply  # type: ignore[method-assign]
