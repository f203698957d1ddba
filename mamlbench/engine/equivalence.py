"""Checks that an engine computes what the loop computes, before it is used.

Two checks. *The same mathematics*: engine and loop compute in float64 without autocast, where rounding leaves
differences of some 1e-14 and a mistake more than 1e-9. *Rounding no worse*: both compute in the run's own precision,
and the engine may differ from the exact result by as much as the loop's own rounding explains.

- float64: the two checks are one.
- float32: the loop's rounding error is measured against float64, and by nudging the examples in their last place.
- bf16: the same with nudges of a bfloat16's last place. Convolutions and matrix products keep less than three digits
  there: the loop itself is off by 1 % (pretraining), 10 % (ANIL), 30 % (first-order MAML) or 70 % (second-order MAML)
  on the quick presets' first tasks. So the second check finds only what breaks under autocast, such as an overflow; the
  first one finds a wrong formula.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from torch import Tensor

from mamlbench.api import Engine
from mamlbench.engine.loop import LoopEngine
from mamlbench.nn.precision import relative_difference
from mamlbench.run_spec import Precision

EXACT = 1e-9
"""Relative difference allowed in float64."""
ROUNDING_FACTOR = 10.0
"""In the run's own precision: difference allowed, in units of the loop's own rounding error."""
ROUNDING_FLOOR: dict[Precision, float] = {"float32": 1e-6, "bf16": 0.06}
"""Least difference allowed: eight roundings (1.2e-7 in float32, 7.8e-3 in bfloat16). The loop's own rounding error may
happen to be 0."""
NUDGES = 6
"""Runs of the loop with examples nudged in their last place, before a rounding error counts against an engine."""
WITHOUT_DOUBLE = 1e-4
"""Difference allowed in float32 if the algorithm cannot run in float64, so that only nudges measure rounding."""


class Outcome(Protocol):
    """Everything an engine computes on a small part of a batch, flat."""

    def __call__(self, engine: Engine, *, precision: Precision, nudge: int = 0) -> Tensor:
        """Compute in that precision: float64 and float32 without autocast, bf16 with it.

        A ``nudge`` above 0 seeds a perturbation of every number of every example, by up to one rounding of the
        precision.
        """


class Reference:
    """What the loop computes, exactly and in the run's precision; each is computed when it is first needed.

    Rounding may decide on which side of its ReLU's kink a unit lies. Such a unit changes the result a thousand times as
    much as rounding otherwise does, and of two orders of summation one may cross a kink and the other not. So an engine
    that differs too much is compared once more, with the largest change among ``NUDGES`` perturbed runs of the loop.

    Args:
        outcome: what an engine computes.
        precision: the run's own.

    Attributes:
        description: what was checked, in words, for the record.
    """

    def __init__(self, outcome: Outcome, precision: Precision = "float32") -> None:
        self._outcome = outcome
        self.precision = precision
        self.description = "not checked"
        self._loops: dict[Precision, Tensor] = {}
        self._nudges: dict[Precision, float] = {}

    def mismatch(self, engine: Engine) -> str:
        """How an engine's outcome differs from the loop's; empty if it does not."""
        checked = list(dict.fromkeys([self._exact_precision, self.precision]))
        self.description = f"checked against the loop in {' and '.join(checked)}"
        mismatch = self._mismatch_in_mathematics(engine)
        if mismatch or self.precision == self._exact_precision:
            return mismatch
        own = relative_difference(self._loop(self.precision), self._exact)
        floor, factor = ROUNDING_FLOOR[self.precision], ROUNDING_FACTOR
        return self._mismatch_in_rounding(engine, self.precision, max(factor * own, floor))

    def _mismatch_in_mathematics(self, engine: Engine) -> str:
        if self._exact_precision != "float64":
            return self._mismatch_in_rounding(engine, "float32", WITHOUT_DOUBLE)
        difference = relative_difference(self._outcome(engine, precision="float64"), self._exact)
        return "" if difference <= EXACT else _message(difference, EXACT, "float64")  # nan is a mismatch, too

    def _mismatch_in_rounding(self, engine: Engine, precision: Precision, allowed: float) -> str:
        difference = relative_difference(self._outcome(engine, precision=precision), self._exact)
        if not difference <= allowed:  # also for nan
            allowed = max(allowed, ROUNDING_FACTOR * self._nudged(precision))
        return "" if difference <= allowed else _message(difference, allowed, precision)

    @cached_property
    def _exact_precision(self) -> Precision:
        """The precision that stands for the exact result: float64, unless the network or the algorithm refuses it."""
        try:
            self._loop("float64")
        except RuntimeError:
            return "float32"
        return "float64"

    @property
    def _exact(self) -> Tensor:
        return self._loop(self._exact_precision)

    def _loop(self, precision: Precision) -> Tensor:
        if precision not in self._loops:
            self._loops[precision] = self._outcome(LoopEngine(plain=True), precision=precision)
        return self._loops[precision]

    def _nudged(self, precision: Precision) -> float:
        """Largest relative change of the loop's outcome when the examples are nudged in their last place."""
        if precision not in self._nudges:
            nudges = range(1, NUDGES + 1)
            outcomes = (self._outcome(LoopEngine(plain=True), precision=precision, nudge=nudge) for nudge in nudges)
            unchanged = self._loop(precision)
            self._nudges[precision] = max(relative_difference(outcome, unchanged) for outcome in outcomes)
        return self._nudges[precision]


def _message(difference: float, allowed: float, precision: Precision) -> str:
    return f"differs from the loop by {difference:.1e} in {precision} (at most {allowed:.0e} allowed)"
