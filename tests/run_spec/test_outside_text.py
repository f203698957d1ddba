"""Texts from outside as names of files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.run_spec.outside_text import file_name_of


@pytest.mark.parametrize(
    ("text", "name"),
    [("hf:user/set", "hf_user_set"), ("../..", "_.."), ("glyphs-5w1s", "glyphs-5w1s"), ("", "_"), ("...", "_")],
)
def test_a_name_becomes_one_file(text, name):
    assert file_name_of(text) == name


@given(st.text())
def test_any_text_becomes_a_plain_name(text):
    assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*", file_name_of(text))
