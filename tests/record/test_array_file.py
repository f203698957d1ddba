"""Arrays in a file: the same values come back, in as few bytes as they need."""

import io
import zipfile

import numpy as np
import pytest

from mamlbench.record.array_file import UNREADABLE, pack_arrays, unpack_arrays

ARRAYS = [
    (np.arange(6).reshape(2, 3), np.uint8),
    (np.array([7]), np.uint8),
    (np.array([256]), np.uint16),
    (np.array([[0, 1 << 40]]), np.uint64),
    (np.array([-1, 3]), np.int64),
    (np.zeros((0, 3), np.int64), np.int64),
    (np.array([0.5, np.nan]), np.float64),
    (np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(2, 3)), np.float32),
    (np.array([True, False]), np.bool_),
]


@pytest.mark.parametrize(("array", "dtype"), ARRAYS)
def test_values_and_shape_come_back(array, dtype):
    unpacked = unpack_arrays(pack_arrays({"values": array, "other": np.array([1])}))
    assert list(unpacked) == ["values", "other"]
    assert unpacked["values"].dtype == dtype
    np.testing.assert_array_equal(unpacked["values"], array)
    unpacked["values"][...] = 0  # it may be changed


def test_a_name_that_stands_twice_is_refused():
    out = io.BytesIO(pack_arrays({"values": np.arange(3)}))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("values.npy", archive.read("values.npy"))
    with pytest.raises(UNREADABLE, match="a name stands twice"):
        unpack_arrays(out.getvalue())
