"""Thresholds as they are written, and what is said of those that cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import ConfigError
from mamlbench.report.gate import parse_thresholds
from mamlbench.report.gate.thresholds import Threshold


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy:-1pp", Threshold("accuracy", 0.01, False, "-", points=True)),
        ("inductive: -0.5 pp", Threshold("inductive", 0.005, False, "-", points=True)),
        ("accuracy:2%", Threshold("accuracy", 0.02, True)),
        ("score:+0.1", Threshold("score", 0.1, False, "+")),
        ("device_seconds:+10%", Threshold("device_seconds", 0.1, True, "+")),
        ("wall_seconds:2min", Threshold("wall_seconds", 120, False)),
        ("milliseconds:5ms", Threshold("milliseconds", 5, False)),
        ("iterations_per_second:-10%", Threshold("iterations_per_second", 0.1, True, "-")),
        ("peak_memory:+64MiB", Threshold("peak_memory", 64 * 1024**2, False, "+")),
    ],
)
def test_what_can_be_written(text, expected):
    (found,) = parse_thresholds([text])
    assert (found.metric, found.relative, found.sign, found.points) == (
        expected.metric,
        expected.relative,
        expected.sign,
        expected.points,
    )
    assert found.amount == pytest.approx(expected.amount)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy", "looks like accuracy:-1pp"),
        ("acuracy:-1pp", "no metric 'acuracy'. Did you mean 'accuracy'?"),
        ("accuracy:+1pp", "worse where it is lower: '-'"),
        ("device_seconds:-10%", "worse where it is higher: '+'"),
        ("device_seconds:1pp", "given in % or s or min, not in 'pp'"),
        ("peak_memory:5", "not in 'a plain number'"),
        ("accuracy:-0pp", "must be above 0"),
        ("accuracy:--1pp", "looks like"),
        ("accuracy:-1e999pp", "looks like"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_thresholds(["accuracy:-1pp", text])
    assert said in str(caught.value) and "'" in str(caught.value)


def test_every_mistake_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_thresholds(["a:1", "accuracy:1", "accuracy:x"])
    assert len(caught.value.problems) == 2, "a plain number is a difference of the fraction"


@given(st.text(max_size=30))
def test_any_text_is_a_threshold_or_a_sentence(text):
    try:
        (found,) = parse_thresholds([text])
    except ConfigError as error:
        assert str(error).endswith((".", "?", "+", "-")) or text in str(error)
    else:
        assert found.amount > 0
