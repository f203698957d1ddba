"""NumPy archives (.npz) without pickles beside a record: written compactly, and read from files that may be damaged."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_UNPACKED = 1 << 32
"""Bytes of all arrays of a file; the outputs for a million episodes of 75 queries and 5 ways have a third of it."""

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,  # the last three of headers of arrays, which NumPy reads as Python's literals
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions raised by reading a damaged file."""


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Pack arrays; whole numbers that are not negative take as few bytes as they need."""
    import numpy as np

    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **{name: _narrowed(array) for name, array in arrays.items()})
    return out.getvalue()


def unpack_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Unpack what ``pack_arrays`` packs. Raises one of ``UNREADABLE`` if it is anything else.

    ``np.load`` would take the memory that a damaged header asks for.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_UNPACKED:
            raise ValueError(f"it unpacks to more than {MAX_UNPACKED:,} bytes")
        if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
            raise ValueError("it is compressed in another way")
        arrays = {}
        for member in members:
            with archive.open(member) as file:  # with a size, Python stops unpacking there
                arrays[member.filename.removesuffix(".npy")] = _array(file.read(member.file_size + 1))
    if len(arrays) < len(members):
        raise ValueError("a name stands twice")
    return arrays


def _array(content: bytes) -> NDArray[Any]:
    import numpy as np

    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it has an array in an unknown form")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    expected = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or len(content) - file.tell() != expected:
        raise ValueError(f"it has an array of {len(content) - file.tell():,} bytes instead of {expected:,}")
    array: NDArray[Any] = np.frombuffer(content, dtype, offset=file.tell()).reshape(
        shape, order="F" if fortran_order else "C"
    )
    return array.copy()


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if array.size == 0 or not np.issubdtype(array.dtype, np.integer) or array.min() < 0:
        return array
    return array.astype(np.min_scalar_type(int(array.max())))
