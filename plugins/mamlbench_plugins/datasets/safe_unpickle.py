"""Pickles of plain data, read without running what they say: arrays, dicts, lists, text and numbers, nothing else.

A pickle is a small program that may name any function of any module and have it called. Here a name is looked up in a
short list of harmless constructors instead, and any other name ends the reading.
"""

from __future__ import annotations

import codecs
import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mamlbench.errors import DataError

_NUMPY_CORES = ("numpy.core", "numpy._core")  # before and after numpy 2
_CORE = np._core  # type: ignore[attr-defined]

HARMLESS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): codecs.encode,  # how Python 3 writes bytes for Python 2 to read
    **{(f"{core}.multiarray", "_reconstruct"): _CORE.multiarray._reconstruct for core in _NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): _CORE.multiarray.scalar for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _CORE.numeric._frombuffer for core in _NUMPY_CORES},
}
"""What an array of numbers is made from; none of them calls back, opens or imports anything."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return HARMLESS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which plain data does not need") from None


def read_plain_pickle(path: Path) -> Any:
    """Read arrays, dicts, lists, text (Python 2's too) and numbers.

    Raises DataError where the file is damaged or asks for anything else; none of its code is run.
    """
    try:
        with path.open("rb") as file:
            return load_plain_pickle(file, str(path))
    except OSError as error:
        raise DataError(f"The pickle '{path}' is not read ({error}): bring it here again.") from error


def load_plain_pickle(file: BinaryIO, name: str) -> Any:
    """Read the same from an open file, which ``name`` is for the error's sake."""
    try:
        return _PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"The pickle '{name}' is not read ({error}): bring it here again.") from error
