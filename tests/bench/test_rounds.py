"""Interleaved timing, and medians, intervals and ratios of it."""

import math

import pytest

from mamlbench.bench.rounds import interleaved, speedup, summarize


def test_every_competitor_is_warmed_up_then_timed_once_per_round_in_changing_order():
    called = []
    work = {name: (lambda name=name: called.append(name)) for name in "abc"}
    timed = [name for name, seconds in interleaved(work, 3) if seconds >= 0]
    assert called == [*"abc", *"abc", *"bca", *"cab"]
    assert timed == [*"abc", *"bca", *"cab"]


def test_a_median_lies_in_its_interval_which_narrows_with_rounds():
    few, many = summarize([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), summarize([1 + 6 * n / 99 for n in range(100)])
    for summary in (few, many):
        assert summary.low < summary.median < summary.high
        assert summary.median == pytest.approx(4.0)
    assert many.high - many.low < few.high - few.low


def test_too_few_rounds_have_no_interval():
    assert math.isnan(summarize([1.0, 2.0]).low)


def test_ratios_are_taken_round_by_round():
    """A machine that slows down for one round slows down both: their ratio stays."""
    assert speedup([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]).median == 2.0
