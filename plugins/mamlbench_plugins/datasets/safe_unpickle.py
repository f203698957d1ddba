"""Reads pickles of plain data (arrays, dicts, lists, text and numbers) without running code from them.

A pickle is a small program that can call any function of any module. Here it may only use a short list of harmless
constructors; any other name raises an exception.
"""

from __future__ import annotations

import codecs
import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mamlbench.api import DataError

_NUMPY_CORES = ("numpy.core", "numpy._core")  # before and after numpy 2
_CORE = np._core  # type: ignore[attr-defined]

HARMLESS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): codecs.encode,  # Python 3 writes bytes so in protocols that Python 2 reads
    **{(f"{core}.multiarray", "_reconstruct"): _CORE.multiarray._reconstruct for core in _NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): _CORE.multiarray.scalar for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _CORE.numeric._frombuffer for core in _NUMPY_CORES},
}
"""Constructors of arrays and plain containers; none of them calls, opens or imports anything else."""


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler that knows the names in HARMLESS only."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return HARMLESS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it uses {module}.{name}, which plain data does not need") from None


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of arrays, dicts, lists, text (of Python 2 too) and numbers; no code of it is run.

    Raises DataError if the file is damaged or contains anything else.
    """
    try:
        with path.open("rb") as file:
            return load_plain_pickle(file, str(path))
    except OSError as error:
        raise DataError(f"The pickle '{path}' cannot be read ({error}): copy or download it again.") from error


def load_plain_pickle(file: BinaryIO, name: str) -> Any:
    """Read a pickle from an open file; ``name`` is used in the error message. Raises as ``read_plain_pickle``."""
    try:
        return _PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise DataError(f"The pickle '{name}' cannot be read ({error}): copy or download it again.") from error
