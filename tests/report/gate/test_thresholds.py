"""Parsing thresholds, and the errors for invalid ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import ConfigError
from mamlbench.report.gate import parse_thresholds
from mamlbench.report.gate.thresholds import Threshold


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy:-1pp", Threshold("accuracy", 0.01, False, "-", percentage_points=True)),
        ("inductive: -0.5 pp", Threshold("inductive", 0.005, False, "-", percentage_points=True)),
        ("accuracy:2%", Threshold("accuracy", 0.02, True)),
        ("macro F1:-1pp", Threshold("macro F1", 0.01, False, "-", percentage_points=True)),
        (" negative log-likelihood : +0.05", Threshold("negative log-likelihood", 0.05, False, "+")),
        ("score:+0.1", Threshold("score", 0.1, False, "+")),
        ("device_seconds:+10%", Threshold("device_seconds", 0.1, True, "+")),
        ("wall_seconds:2min", Threshold("wall_seconds", 120, False)),
        ("milliseconds:5ms", Threshold("milliseconds", 5, False)),
        ("iterations_per_second:-10%", Threshold("iterations_per_second", 0.1, True, "-")),
        ("peak_memory:+64MiB", Threshold("peak_memory", 64 * 1024**2, False, "+")),
    ],
)
def test_valid_thresholds(text, expected):
    (threshold,) = parse_thresholds([text])
    assert threshold.amount == pytest.approx(expected.amount)
    assert str(threshold) == text.strip()
    assert replace(threshold, amount=expected.amount, text="") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy", "looks like accuracy:-1pp"),
        (":-1pp", "looks like"),
        ("device_seconds:-10%", "worse if it is higher: use '+'"),
        ("device_seconds:1pp", "takes % or s or min, not 'pp'"),
        ("peak_memory:5", "not 'a plain number'"),
        ("accuracy:-0pp", "must be above 0"),
        ("accuracy:--1pp", "looks like"),
        ("accuracy:-1e999pp", "looks like"),
    ],
)
def test_an_invalid_threshold_is_explained(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_thresholds(["accuracy:-1pp", text])
    assert message in str(caught.value) and "'" in str(caught.value)


def test_all_invalid_thresholds_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        parse_thresholds(["a:0", "accuracy:1", "accuracy:x"])
    assert len(caught.value.problems) == 2, "a plain number is a difference of fractions"


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_rejected_with_a_sentence(text):
    try:
        (threshold,) = parse_thresholds([text])
    except ConfigError as error:
        assert str(error).endswith((".", "?", "+", "-")) or text in str(error)
    else:
        assert threshold.amount > 0
