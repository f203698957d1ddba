"""Planted: MAML's outer iterations take 30 % longer; what they compute is the same."""

import time
from typing import Any

from mamlbench_plugins.algorithms.maml import MAML

LOST = 0.3
_compute_update, _apply = MAML.compute_update, MAML.apply


def _timed_compute_update(self: MAML, batch: Any) -> Any:
    began = time.perf_counter()
    update = _compute_update(self, batch)
    self.planted_seconds = time.perf_counter() - began  # type: ignore[attr-defined]
    return update


def _slow_apply(self: MAML, update: Any) -> None:
    began = time.perf_counter()
    _apply(self, update)
    now = time.perf_counter()
    end = now + LOST * (now - began + self.planted_seconds)  # type: ignore[attr-defined]
    while time.perf_counter() < end:  # busy: the processor's seconds grow as well
        pass


MAML.compute_update, MAML.apply = _timed_compute_update, _slow_apply  # type: ignore[method-assign]
