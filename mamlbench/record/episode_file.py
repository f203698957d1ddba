"""Further results of every test episode beside the record, in a compressed NumPy archive without pickles."""

from __future__ import annotations

import hashlib
import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.atomic_write import write_atomically
from mamlbench.errors import ConfigError
from mamlbench.record.file_hashes import results_written
from mamlbench.record.run_record import EpisodeFile, RunRecord
from mamlbench.run_spec.outside_text import escaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "episodes.npz"

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


def write_episodes(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> EpisodeFile:
    """Write arrays ``[episodes, ...]`` into a run's folder of artifacts; counts take as few bytes as they need.

    Raises UnwrittenResultError if they cannot be written.
    """
    import numpy as np

    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **{name: _narrowed(array) for name, array in arrays.items()})
    content = out.getvalue()
    with results_written(folder / NAME, "What is kept of the test episodes", folder):
        write_atomically(folder / NAME, content)
    return EpisodeFile(file=f"{folder.name}/{NAME}", sha256=hashlib.sha256(content).hexdigest())


def read_episodes(record: RunRecord, folder: str | Path) -> dict[str, NDArray[Any]]:
    """Read what a run kept of its E test episodes.

    Args:
        record: a run that was tested.
        folder: the folder that the record lies in.

    Returns:
        Arrays by name. In classification: ``classes`` ``[E, ways]``, which class of the test split each label stands
        for (absent if the sampler does not say); ``queries`` ``[E, ways]``, the number of queries of each class; and
        for each mode, ``trained`` and ``untrained``: ``trained/inductive/right`` ``[E, ways]``, how many of them are
        classified right, and ``trained/inductive/predicted`` ``[E, ways]``, how many queries of any class are
        predicted as this one. With ``keep_predictions``: ``targets``, labels ``[E, n]`` or values ``[E, n, outputs]``,
        and the network's ``trained/inductive/outputs`` ``[E, n, outputs]``, float32.

    Raises ConfigError if the run kept nothing, or the file is missing or is not the one that the record names.
    """

    file = record.episodes
    if file is None:
        raise ConfigError(f"The run '{record.name}' kept nothing of its test episodes but their scores.")
    path = Path(folder) / file.file
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ConfigError(f"'{path}' is not the file that its record names: its SHA-256 differs.")
        return _arrays(content)
    except UNREADABLE as error:
        reason = escaped(str(error) or type(error).__name__, 200)
        raise ConfigError(f"'{path}' cannot be read: {reason}.") from error


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Unpack what ``np.savez_compressed`` packs. Raises one of ``UNREADABLE`` if it is anything else.

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
