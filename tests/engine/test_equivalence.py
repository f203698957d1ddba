"""The check of an engine against the loop, in every precision."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.engine.equivalence import NUDGES, Reference

TRUTH = torch.linspace(1, 2, 10, dtype=torch.float64)
LOOP = {"float64": 1e-16, "float32": 1e-7, "bf16": 1e-2}
"""Invented relative errors of the loop."""


class Outcome:
    """Outcomes with invented relative errors: of the loop, and of the engine under test."""

    def __init__(self, wrong, *, kink=0.0, no_double=False):
        self.wrong, self.kink, self.no_double = wrong, kink, no_double
        self.calls = []

    def __call__(self, engine, *, precision, nudge=0):
        if self.no_double and precision == "float64":
            raise RuntimeError("expected float32")
        self.calls.append((engine.name, precision, nudge))
        errors = LOOP if engine.name == "loop" else {**LOOP, **self.wrong}
        return TRUTH * (1 + errors[precision] + (self.kink if nudge else 0.0))

    def mismatch(self, precision):
        self.reference = Reference(self, precision)
        return self.reference.mismatch(VmapEngine())


@pytest.mark.parametrize(
    ("precision", "wrong", "message"),
    [
        ("float32", {}, ""),
        ("float32", {"float64": 1e-6}, "in float64 (at most 1e-09 allowed)"),
        ("float32", {"float32": 1e-4}, "in float32 (at most 1e-06 allowed)"),
        ("float64", {}, ""),
        ("float64", {"float64": 1e-8}, "in float64 (at most 1e-09 allowed)"),
        ("float64", {"float64": float("nan")}, "in float64"),
        ("bf16", {}, ""),
        ("bf16", {"float64": 1e-6}, "in float64 (at most 1e-09 allowed)"),
        ("bf16", {"bf16": 0.05}, ""),
        ("bf16", {"bf16": 0.5}, "in bf16 (at most 1e-01 allowed)"),
        ("bf16", {"bf16": float("inf")}, "in bf16"),
        ("bf16", {"bf16": float("nan")}, "in bf16"),
        ("bf16", {"float32": 1.0}, ""),  # another precision
        ("float64", {"float32": 1.0, "bf16": 1.0}, ""),
    ],
)
def test_each_precision_has_tolerances_of_its_own(precision, wrong, message):
    mismatch = Outcome(wrong).mismatch(precision)
    assert message in mismatch and bool(message) == bool(mismatch)


@pytest.mark.parametrize(
    ("precision", "words"), [("float32", "float64 and float32"), ("bf16", "float64 and bf16"), ("float64", "float64")]
)
def test_the_description_names_the_precisions_checked_and_no_other_is_computed(precision, words):
    outcome = Outcome({})
    assert not outcome.mismatch(precision)
    assert outcome.reference.description == f"checked against the loop in {words}"
    assert {computed for _, computed, _ in outcome.calls} == set(words.split(" and "))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_engine_may_differ_as_much_as_the_nudged_loop_at_a_kink(precision):
    far = 50 * LOOP[precision]
    assert Outcome({precision: far}).mismatch(precision)
    outcome = Outcome({precision: far}, kink=far / 5)
    assert not outcome.mismatch(precision)
    assert len([nudge for _, _, nudge in outcome.calls if nudge]) == NUDGES
    outcome.reference.mismatch(VmapEngine())
    assert len([nudge for _, _, nudge in outcome.calls if nudge]) == NUDGES, "once for all engines"


def test_without_float64_the_mathematics_is_checked_in_float32():
    assert "in float32" in Outcome({"float32": 0.01}, no_double=True).mismatch("bf16")
    outcome = Outcome({}, no_double=True)
    assert not outcome.mismatch("bf16")
    assert outcome.reference.description == "checked against the loop in float32 and bf16"
    assert "in bf16" in Outcome({"bf16": 0.5}, no_double=True).mismatch("bf16")


@given(st.sampled_from(["float32", "bf16"]), st.floats(0, 1e3), st.floats(1, 1e3))
def test_if_an_engine_passes_so_does_one_with_a_smaller_error(precision, error, factor):
    if not Outcome({precision: error * factor}).mismatch(precision):
        assert not Outcome({precision: error}).mismatch(precision)


def test_the_loop_agrees_with_itself():
    assert not Reference(Outcome({}), "bf16").mismatch(LoopEngine())
