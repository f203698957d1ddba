"""Reads pickles of plain data (arrays, dicts, lists, text and numbers) without Python's own unpickler.

A pickle is a small program that can import any module and call any function. Here it is interpreted: the instructions
that plain data need are below, the others are refused. Names of functions and classes are never looked up; those that
plain data need have stand-ins.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from mamlbench.api import DataError
from mamlbench_plugins.datasets.pickle_stand_ins import PLAIN_NAMES, NotPlainError, PickledName, Unbuilt, plain_dict

MAX_INSTRUCTIONS = 5_000_000
"""The largest published file, CIFAR-100's, has a tenth of it. One byte can make an object of 64."""

_MAX_NUMBER = 1024  # bytes or digits
_DAMAGE = (ValueError, LookupError, TypeError, ArithmeticError, EOFError, struct.error)


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of arrays, dicts, lists, tuples, text (of Python 2 too) and numbers; no code of it is run.

    Arrays are read only and hold numbers. Raises DataError if the file is damaged or contains anything else.
    """
    try:
        with path.open("rb") as file:
            return load_plain_pickle(file, str(path))
    except OSError as error:
        raise DataError(f"The pickle '{path}' cannot be read ({error}): copy or download it again.") from error


def load_plain_pickle(file: BinaryIO, name: str) -> Any:
    """Read a pickle from an open file; ``name`` is used in the error message. Raises as ``read_plain_pickle``."""
    try:
        return _Machine(file).run()
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"The pickle '{name}' cannot be read ({reason}): copy or download it again.") from error


class _Machine:
    """Interprets a pickle: a stack, marks in it, and a memo of what will be used again."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.stack: list[Any] = []
        self.below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MAX_INSTRUCTIONS):
            code = self.read(1)
            if code == b".":
                return self.stack.pop()
            if code in _PUSHED:
                value = _PUSHED[code](self)  # before the stack is looked at, which it may replace
                self.stack.append(value)
            elif code in _DONE:
                _DONE[code](self)
            else:
                raise NotPlainError(f"it uses {_instruction(code)}, which plain data does not need")
        raise NotPlainError(f"it has more than {MAX_INSTRUCTIONS:,} instructions")

    def read(self, length: int) -> bytes:
        """Read bytes; what a file claims to hold beyond its end takes no memory."""
        if length > self.size - self.file.tell():
            raise EOFError("it ends too early")
        return self.file.read(length)

    def counted(self, layout: str) -> bytes:
        """Read a length, as ``struct`` writes it, and so many bytes."""
        length = self.number(layout)
        if length < 0:
            raise ValueError("a negative length")
        return self.read(length)

    def number(self, layout: str) -> Any:
        (number,) = struct.unpack(layout, self.read(struct.calcsize(layout)))
        return number

    def line(self) -> bytes:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("it ends too early")
        return line[:-1]

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below_marks.pop()
        return items

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("too few values")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def top(self, kind: type[Any]) -> Any:
        """Return the value on top, which has to be of this type."""
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"something else in place of a {kind.__name__}")
        return self.stack[-1]


def _instruction(code: bytes) -> str:
    names = {opcode.code: opcode.name for opcode in pickletools.opcodes}
    name = names.get(code.decode("latin1"))
    return f"the instruction {name}" if name else f"byte {code!r} as an instruction"


# ---------------------------------------------------------------------------------------------- numbers and text


def _text_number(machine: _Machine) -> int | bool:
    line = machine.line()
    if line in (b"00", b"01"):
        return line == b"01"
    return _integer(line)


def _integer(line: bytes) -> int:
    if len(line) > _MAX_NUMBER:
        raise ValueError(f"a number of {len(line):,} digits")
    return int(line.removesuffix(b"L"))


def _long(layout: str) -> Callable[[_Machine], int]:
    def read(machine: _Machine) -> int:
        content = machine.counted(layout)
        if len(content) > _MAX_NUMBER:
            raise ValueError(f"a number of {len(content):,} bytes")
        return int.from_bytes(content, "little", signed=True)

    return read


_ESCAPED = re.compile(rb"(?:[^\\]|\\(?:[\\'\"nrt]|x[0-9a-f]{2}))*")


def _quoted(machine: _Machine) -> str:
    """Text between quotes with the escapes of Python 2's ``repr``."""
    line = machine.line()
    content = line[1:-1]
    if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1] or not _ESCAPED.fullmatch(content):
        raise ValueError("text without its quotes")
    escaped: tuple[bytes, int] = codecs.escape_decode(content)
    return escaped[0].decode("latin1")


def _unicode_line(machine: _Machine) -> str:
    text = machine.line().decode("raw-unicode-escape")
    text.encode()  # refuses halves of surrogate pairs, which no text has
    return text


# --------------------------------------------------------------------------------------------- names and what is made


def _name(module: str, name: str) -> PickledName:
    try:
        return PLAIN_NAMES[module, name]
    except KeyError:
        shown = ascii(f"{module}.{name}"[:100])[1:-1]
        raise NotPlainError(f"it uses {shown}, which plain data does not need") from None


def _global(machine: _Machine) -> PickledName:
    return _name(machine.line().decode(), machine.line().decode())


def _stack_global(machine: _Machine) -> PickledName:
    module, name = machine.last(2)
    if not (isinstance(module, str) and isinstance(name, str)):
        raise TypeError("a name that is not text")
    return _name(module, name)


def _reduce(machine: _Machine) -> Any:
    called, arguments = machine.last(2)
    if not isinstance(called, PickledName) or called.call is None or type(arguments) is not tuple:
        raise NotPlainError("it calls what is not to be called")
    return called.call(arguments)


def _build(machine: _Machine) -> None:
    target, state = machine.last(2)
    if not isinstance(target, Unbuilt):
        raise NotPlainError("it changes what is complete")
    built = target.build(state)
    machine.stack.append(built)
    for key in target.memo_keys:
        machine.memo[key] = built


def _remember(key: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    def remember(machine: _Machine) -> None:
        value, place = machine.stack[-1], key(machine)
        machine.memo[place] = value
        if isinstance(value, Unbuilt):
            value.memo_keys.append(place)

    return remember


def _mark(machine: _Machine) -> None:
    machine.below_marks.append(machine.stack)
    machine.stack = []


def _append(machine: _Machine) -> None:
    (item,) = machine.last(1)
    machine.top(list).append(item)


def _appends(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.top(list).extend(items)


def _set_item(machine: _Machine) -> None:
    items = machine.last(2)
    machine.top(dict).update(plain_dict(items))


def _set_items(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.top(dict).update(plain_dict(items))


_PUSHED: dict[bytes, Callable[[_Machine], Any]] = {
    b"N": lambda machine: None,
    b"\x88": lambda machine: True,
    b"\x89": lambda machine: False,
    b"I": _text_number,
    b"J": lambda machine: machine.number("<i"),
    b"K": lambda machine: machine.number("<B"),
    b"M": lambda machine: machine.number("<H"),
    b"L": lambda machine: _integer(machine.line()),
    b"\x8a": _long("<B"),
    b"\x8b": _long("<i"),
    b"F": lambda machine: float(machine.line()),
    b"G": lambda machine: machine.number(">d"),
    b"S": _quoted,
    b"T": lambda machine: machine.counted("<i").decode("latin1"),
    b"U": lambda machine: machine.counted("<B").decode("latin1"),
    b"B": lambda machine: machine.counted("<I"),
    b"C": lambda machine: machine.counted("<B"),
    b"\x8e": lambda machine: machine.counted("<Q"),
    b"\x96": lambda machine: machine.counted("<Q"),  # a bytearray
    b"V": _unicode_line,
    b"X": lambda machine: machine.counted("<I").decode(),
    b"\x8c": lambda machine: machine.counted("<B").decode(),
    b"\x8d": lambda machine: machine.counted("<Q").decode(),
    b"]": lambda machine: [],
    b"l": lambda machine: machine.since_mark(),
    b")": lambda machine: (),
    b"\x85": lambda machine: tuple(machine.last(1)),
    b"\x86": lambda machine: tuple(machine.last(2)),
    b"\x87": lambda machine: tuple(machine.last(3)),
    b"t": lambda machine: tuple(machine.since_mark()),
    b"}": lambda machine: {},
    b"d": lambda machine: plain_dict(machine.since_mark()),
    b"g": lambda machine: machine.memo[_integer(machine.line())],
    b"h": lambda machine: machine.memo[machine.number("<B")],
    b"j": lambda machine: machine.memo[machine.number("<I")],
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _reduce,
}
"""Instructions that put one value on the stack; see ``pickletools`` for each."""

_DONE: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda machine: machine.read(1),  # the protocol's number
    b"\x95": lambda machine: machine.read(8),  # the length of a frame
    b"(": _mark,
    b"a": _append,
    b"e": _appends,
    b"s": _set_item,
    b"u": _set_items,
    b"b": _build,
    b"p": _remember(lambda machine: _integer(machine.line())),
    b"q": _remember(lambda machine: machine.number("<B")),
    b"r": _remember(lambda machine: machine.number("<I")),
    b"\x94": _remember(lambda machine: len(machine.memo)),
}
"""The other instructions."""
