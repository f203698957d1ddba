"""Stand-ins for the few functions and classes that pickles of plain data name; each checks its arguments.

NumPy's own would trust them: with other flags of a dtype, the bytes of the file count as addresses of objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

_NUMBERS = re.compile(r"b1|[iu][1248]|f[248]")
_TEXT = re.compile(r"[SU][0-9]{1,4}")
_MAX_DIMENSIONS = 32

Arguments = tuple[Any, ...]


class NotPlainError(ValueError):
    """A pickle needs more than plain data does; the message says what, after "it"."""


@dataclass(frozen=True)
class PickledName:
    """A name that plain data may use. ``call`` makes its value from checked arguments; None: it is an argument only."""

    name: str
    call: Callable[[Arguments], Any] | None


@dataclass(eq=False)
class Unbuilt:
    """An array or dtype whose state comes later. ``build`` makes it; ``memo_keys`` are the places that wait for it."""

    build: Callable[[Any], Any]
    memo_keys: list[int] = field(default_factory=list)


def refuse_unless(condition: bool, what: str) -> None:
    """Raise NotPlainError, with ``what`` it is in words, unless a condition holds."""
    if not condition:
        raise NotPlainError(f"it has {what}")


def _dtype(arguments: Arguments) -> Unbuilt:
    match arguments:
        case (str(name), int(), int()) if _NUMBERS.fullmatch(name) or _TEXT.fullmatch(name):
            return Unbuilt(lambda state: _built_dtype(name, state))
    raise NotPlainError("it has an array of other than numbers")


def _built_dtype(name: str, state: Any) -> np.dtype[Any]:
    """Byte order; neither parts, nor fields, nor flags that make NumPy follow addresses."""
    is_text = name[0] in "SU"
    match state:
        case (int(), "|" | "<" | ">" | "=" as order, None, None, None, int(size), int(), int(flags)):
            dtype = np.dtype(f"{order}{name}")
            refuse_unless(flags == (8 if name[0] == "U" else 0), "a dtype with flags")
            refuse_unless(size == (dtype.itemsize if is_text else -1), "a dtype of another size than its name's")
            return dtype
    raise NotPlainError("it has a dtype with parts or fields")


def _array(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray[Any, Any]:
    """Make an array, read only, that shares the bytes of the file."""
    content = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 wrote text
    refuse_unless(isinstance(content, bytes), "an array whose content is not bytes")
    refuse_unless(isinstance(dtype, np.dtype) and dtype.kind in "biuf", "an array of other than numbers")
    refuse_unless(isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS, "an array without a shape")
    refuse_unless(all(type(length) is int and length >= 0 for length in shape), "an array without a shape")
    expected = math.prod(shape) * dtype.itemsize
    refuse_unless(len(content) == expected, f"an array of {len(content):,} bytes instead of {expected:,}")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(arguments: Arguments) -> Unbuilt:
    match arguments:
        case (PickledName(name="numpy.ndarray"), (0,), "b" | b"b"):
            return Unbuilt(_built_array)
    raise NotPlainError("it has an array of a special class")


def _built_array(state: Any) -> np.ndarray[Any, Any]:
    match state:
        case (1, shape, dtype, bool() | 0 | 1 as fortran, raw):
            return _array(raw, dtype, shape, "F" if fortran else "C")
    raise NotPlainError("it has an array in an unknown form")


def _from_buffer(arguments: Arguments) -> np.ndarray[Any, Any]:
    match arguments:
        case (raw, dtype, shape, "C" | "F" as order):
            return _array(raw, dtype, shape, order)
    raise NotPlainError("it has an array in an unknown form")


def _scalar(arguments: Arguments) -> Any:
    match arguments:
        case (np.dtype() as dtype, bytes() | str() as raw):
            content = raw.encode("latin1") if isinstance(raw, str) else raw
            refuse_unless(len(content) == dtype.itemsize, "a number of another size than its dtype's")
            if dtype.kind == "S":
                return content.rstrip(b"\x00")
            if dtype.kind == "U":
                return content.decode("utf-32-be" if dtype.byteorder == ">" else "utf-32-le").rstrip("\x00")
            return np.frombuffer(content, dtype)[0]
    raise NotPlainError("it has a number in an unknown form")


def _encode(arguments: Arguments) -> bytes:
    """Python 3 writes bytes as latin1 text in protocols that Python 2 reads."""
    match arguments:
        case (str(text), "latin1"):
            return text.encode("latin1")
    raise NotPlainError("it has text in another encoding than latin1")


def _empty_bytes(arguments: Arguments) -> bytes:
    refuse_unless(arguments == (), "bytes made of something else")
    return b""


def _ordered_dict(arguments: Arguments) -> dict[Any, Any]:
    match arguments:
        case ():
            return {}
        case (list(pairs),) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            return plain_dict([part for pair in pairs for part in pair])  # as Python 2 wrote them
    raise NotPlainError("it has a dict in an unknown form")


def plain_dict(keys_and_values: list[Any]) -> dict[Any, Any]:
    """Make a dict of keys and values by turns. Keys are text or numbers: others may take forever to hash."""
    refuse_unless(len(keys_and_values) % 2 == 0, "a key without a value")
    keys = keys_and_values[::2]
    refuse_unless(
        all(key is None or isinstance(key, str | bytes | int | float | np.generic) for key in keys),
        "keys other than text and numbers",
    )
    return dict(zip(keys, keys_and_values[1::2], strict=True))


_CORES = ("numpy.core", "numpy._core")  # before and after NumPy 2
_CALLS: dict[tuple[str, str], Callable[[Arguments], Any] | None] = {
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _dtype,
    **{(f"{core}.multiarray", "_reconstruct"): _reconstruct for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORES},
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
    ("builtins", "bytes"): _empty_bytes,
    ("collections", "OrderedDict"): _ordered_dict,
}

PLAIN_NAMES: Mapping[tuple[str, str], PickledName] = MappingProxyType(
    {(module, name): PickledName(f"{module}.{name}", call) for (module, name), call in _CALLS.items()}
)
"""All names that are known, by module and name; none is looked up in the module."""
