"""Does a strategy compute what the loop computes? Asked of every one before it may train."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from torch import Tensor

from mamlbench.api import Engine
from mamlbench.engine.loop import LoopEngine

EXACT = 1e-9
"""Relative difference allowed in float64."""
ROUNDING_FACTOR, ROUNDING_FLOOR = 10.0, 1e-6
"""In float32: so many times the loop's own rounding error, and no less than the floor."""
WITHOUT_DOUBLE = 1e-4
"""In float32 where the algorithm cannot run in float64, so that the loop's own rounding error is not known."""


class Outcome(Protocol):
    """Everything an engine computes on a small part of a batch, flat."""

    def __call__(self, engine: Engine, *, double: bool) -> Tensor:
        """Compute it, in float64 where ``double``."""


class Reference:
    """What the loop computes, in float64 and in float32; computed when it is first needed."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.said = "not checked"

    def objection(self, engine: Engine) -> str:
        """What is wrong with an engine's outcome, or nothing."""
        if self._exact is None:
            self.said = "checked against the loop in float32"
            return self._too_far(self._outcome(engine, double=False), self._rounded, WITHOUT_DOUBLE, "float32")
        self.said = "checked against the loop in float64 and float32"
        allowed = max(ROUNDING_FACTOR * relative_difference(self._rounded, self._exact), ROUNDING_FLOOR)
        return self._too_far(self._outcome(engine, double=True), self._exact, EXACT, "float64") or self._too_far(
            self._outcome(engine, double=False), self._exact, allowed, "float32"
        )

    @cached_property
    def _exact(self) -> Tensor | None:
        try:
            return self._outcome(LoopEngine(), double=True)
        except RuntimeError:  # a network or an algorithm that insists on float32
            return None

    @cached_property
    def _rounded(self) -> Tensor:
        return self._outcome(LoopEngine(), double=False)

    @staticmethod
    def _too_far(ours: Tensor, reference: Tensor, allowed: float, where: str) -> str:
        difference = relative_difference(ours, reference)
        if difference <= allowed:
            return ""
        return f"differs from the loop by {difference:.1e} in {where} (at most {allowed:.0e} allowed)"


def relative_difference(ours: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference, in float64; 0 where both are all zeros."""
    ours, reference = ours.double(), reference.double()
    difference, norm = float((ours - reference).norm()), float(reference.norm())
    return difference / norm if norm else difference
