"""Corruptions as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mamlbench.run_spec import Corruption, Protocol, read_corruption
from mamlbench.run_spec.corruption import MOST_STRENGTH


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("noise:0.30", "noise:0.3"),
        (" blur:1.50 ", "blur:1.5"),
        ("contrast:1", "contrast:1"),
        ("noise:1e-1", "noise:0.1"),
    ],
)
def test_equal_corruptions_are_spelled_alike(text, spelled):
    assert Protocol(corrupt=text).corrupt == spelled
    assert Protocol(corrupt=text) == Protocol(corrupt=spelled)


@given(st.sampled_from(sorted(MOST_STRENGTH)), st.floats(1e-6, 1))
def test_a_corruption_is_read_as_it_is_written(name, strength):
    corruption = read_corruption(str(Corruption(name, strength)))
    assert corruption.name == name and corruption.strength == pytest.approx(strength, rel=1e-9)
    assert read_corruption(str(corruption)) == corruption


def test_none_is_none():
    assert read_corruption("none") is None and Protocol().corrupt == "none"


@pytest.mark.parametrize(
    "text", ["", "fog:1", "noise", "noise:", "noise:x", "noise:0", "noise:-1", "noise:nan", "noise:11"]
)
def test_others_are_refused(text):
    with pytest.raises(ValueError, match=r"a corruption is noise:STRENGTH, |the strength of noise is a number above 0"):
        read_corruption(text)
    with pytest.raises(ValidationError):
        Protocol(corrupt=text)


def test_contrast_cannot_be_reduced_to_less_than_none():
    with pytest.raises(ValueError, match=r"up to 1$"):
        read_corruption("contrast:1.1")
