"""The check of an engine against the loop, in every precision."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.engine.equivalence import NUDGES, Reference

TRUTH = torch.linspace(1, 2, 10, dtype=torch.float64)
LOOP = {"float64": 1e-16, "float32": 1e-7, "bf16": 1e-2}
"""Relative error of the loop that is made up here."""


class Outcome:
    """Outcomes with relative errors that are made up: of the loop, and of the engine under test."""

    def __init__(self, wrong, *, kink=0.0, no_double=False):
        self.wrong, self.kink, self.no_double = wrong, kink, no_double
        self.asked = []

    def __call__(self, engine, *, precision, nudge=0):
        if self.no_double and precision == "float64":
            raise RuntimeError("expected float32")
        self.asked.append((engine.name, precision, nudge))
        errors = LOOP if engine.name == "loop" else {**LOOP, **self.wrong}
        return TRUTH * (1 + errors[precision] + (self.kink if nudge else 0.0))

    def objection(self, precision):
        self.reference = Reference(self, precision)
        return self.reference.objection(VmapEngine())


@pytest.mark.parametrize(
    ("precision", "wrong", "said"),
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
        ("bf16", {"float32": 1.0}, ""),  # not its business
        ("float64", {"float32": 1.0, "bf16": 1.0}, ""),
    ],
)
def test_each_precision_has_tolerances_of_its_own(precision, wrong, said):
    objection = Outcome(wrong).objection(precision)
    assert said in objection and bool(said) == bool(objection)


@pytest.mark.parametrize(
    ("precision", "words"), [("float32", "float64 and float32"), ("bf16", "float64 and bf16"), ("float64", "float64")]
)
def test_it_says_what_was_checked_and_asks_in_no_other_precision(precision, words):
    outcome = Outcome({})
    assert not outcome.objection(precision)
    assert outcome.reference.description == f"checked against the loop in {words}"
    assert {asked for _, asked, _ in outcome.asked} == set(words.split(" and "))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_kink_that_the_loop_meets_when_nudged_excuses_an_engine(precision):
    far = 50 * LOOP[precision]
    assert Outcome({precision: far}).objection(precision)
    outcome = Outcome({precision: far}, kink=far / 5)
    assert not outcome.objection(precision)
    assert len([nudge for _, _, nudge in outcome.asked if nudge]) == NUDGES
    outcome.reference.objection(VmapEngine())
    assert len([nudge for _, _, nudge in outcome.asked if nudge]) == NUDGES, "once for all engines"


def test_without_float64_the_mathematics_is_checked_in_float32():
    assert "in float32" in Outcome({"float32": 0.01}, no_double=True).objection("bf16")
    outcome = Outcome({}, no_double=True)
    assert not outcome.objection("bf16")
    assert outcome.reference.description == "checked against the loop in float32 and bf16"
    assert "in bf16" in Outcome({"bf16": 0.5}, no_double=True).objection("bf16")


@given(st.sampled_from(["float32", "bf16"]), st.floats(0, 1e3), st.floats(1, 1e3))
def test_an_engine_that_lies_nearer_is_never_refused_for_one_that_is_not(precision, error, factor):
    if not Outcome({precision: error * factor}).objection(precision):
        assert not Outcome({precision: error}).objection(precision)


def test_the_loop_agrees_with_itself():
    assert not Reference(Outcome({}), "bf16").objection(LoopEngine())
