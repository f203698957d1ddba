"""The classes of test episodes, packed into a record."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mamlbench.record import EpisodeClasses, pack_classes


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 10**6))
def test_classes_are_unpacked_as_they_were_packed(episodes, ways, seed):
    classes = np.random.default_rng(seed).integers(0, 65_536, (episodes, ways))
    packed = pack_classes(classes)
    again = EpisodeClasses.model_validate_json(packed.model_dump_json())
    np.testing.assert_array_equal(again.unpack(), classes)
    assert again == packed and hash(again) == hash(packed)


def test_the_format_is_base64_of_little_endian_numbers_of_two_bytes():
    packed = pack_classes(np.array([[1, 258], [0, 3]]))
    assert base64.b64decode(packed.packed) == bytes([1, 0, 2, 1, 0, 0, 3, 0])


def test_numbers_that_do_not_fit_are_not_packed():
    assert pack_classes(np.array([[65_536, 1]])) is None
    assert pack_classes(np.array([[-1, 1]])) is None
    assert pack_classes(np.zeros((0, 5), np.int64)) is None


@pytest.mark.parametrize("packed, problem", [("AQ!", "not base64"), ("AQACAQ==", "incomplete")])
def test_damaged_classes_are_refused(packed, problem):
    with pytest.raises(ValidationError, match=problem):
        EpisodeClasses(ways=3, packed=packed)
