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
NUDGES = 6
"""How often the loop is asked again, with examples nudged in their last place, before float32 speaks against anyone."""
WITHOUT_DOUBLE = 1e-4
"""In float32 where the algorithm cannot run in float64, so that only nudges can tell the loop's own rounding."""


class Outcome(Protocol):
    """Everything an engine computes on a small part of a batch, flat."""

    def __call__(self, engine: Engine, *, double: bool, nudge: int = 0) -> Tensor:
        """Compute it, in float64 where ``double``.

        With ``nudge`` every number of every example is off by up to one float32 rounding, another one for every nudge.
        """


class Reference:
    """What the loop computes, in float64 and in float32; computed when it is first needed.

    How far float32 may lie from it is the loop's own rounding error. That is a matter of luck where rounding decides on
    which side of its ReLU's kink a unit lies: such a unit moves the result a thousand times as far as rounding does
    otherwise, and of two orders of summation one may meet it and the other not. So a candidate that lies too far is
    held against the furthest of some more runs of the loop, too.
    """

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.said = "not checked"

    def objection(self, engine: Engine) -> str:
        """What is wrong with an engine's outcome, or nothing."""
        if self._exact is None:
            self.said = "checked against the loop in float32"
        else:
            self.said = "checked against the loop in float64 and float32"
            difference = relative_difference(self._outcome(engine, double=True), self._exact)
            if not difference <= EXACT:  # nan, too
                return _objection(difference, EXACT, "float64")
        return self._objection_to_rounding(self._outcome(engine, double=False))

    def _objection_to_rounding(self, outcome: Tensor) -> str:
        if self._exact is None:
            reference, allowed = self._rounded, WITHOUT_DOUBLE
        else:
            own = relative_difference(self._rounded, self._exact)
            reference, allowed = self._exact, max(ROUNDING_FACTOR * own, ROUNDING_FLOOR)
        difference = relative_difference(outcome, reference)
        if not difference <= allowed:
            allowed = max(allowed, ROUNDING_FACTOR * self._nudged)
        return "" if difference <= allowed else _objection(difference, allowed, "float32")

    @cached_property
    def _exact(self) -> Tensor | None:
        try:
            return self._outcome(LoopEngine(), double=True)
        except RuntimeError:  # a network or an algorithm that insists on float32
            return None

    @cached_property
    def _rounded(self) -> Tensor:
        return self._outcome(LoopEngine(), double=False)

    @cached_property
    def _nudged(self) -> float:
        """How far the loop's float32 outcome moves, at most, when the examples are nudged in their last place."""
        moved = (self._outcome(LoopEngine(), double=False, nudge=number) for number in range(1, NUDGES + 1))
        return max(relative_difference(outcome, self._rounded) for outcome in moved)


def _objection(difference: float, allowed: float, where: str) -> str:
    return f"differs from the loop by {difference:.1e} in {where} (at most {allowed:.0e} allowed)"


def relative_difference(ours: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference, in float64; 0 where both are all zeros."""
    ours, reference = ours.double(), reference.double()
    difference, norm = float((ours - reference).norm()), float(reference.norm())
    return difference / norm if norm else difference
