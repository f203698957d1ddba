"""Every instruction of pickles that can import or call, and what NumPy's own functions would trust, is refused."""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools
import struct
import sys
import time
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import DataError
from mamlbench_plugins.datasets import safe_unpickle
from mamlbench_plugins.datasets.pickle_stand_ins import PLAIN_NAMES
from mamlbench_plugins.datasets.safe_unpickle import load_plain_pickle

PLAIN_INSTRUCTIONS = """
INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8
BYTEARRAY8 NONE NEWTRUE NEWFALSE UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT EMPTY_LIST APPEND
APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS MARK GET BINGET LONG_BINGET PUT
BINPUT LONG_BINPUT MEMOIZE PROTO STOP FRAME GLOBAL STACK_GLOBAL REDUCE BUILD
"""
"""The last four know stand-ins alone."""


def read(content: bytes) -> Any:
    return load_plain_pickle(io.BytesIO(content), "x.pkl")


def refusal(content: bytes) -> str:
    with pytest.raises(DataError, match=r"^The pickle 'x\.pkl' cannot be read \(") as error:
        read(content)
    assert "\n" not in str(error.value)
    return str(error.value)


# ------------------------------------------------------------------------------------------------- instructions


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda opcode: opcode.name)
def test_only_the_instructions_of_plain_data_are_known(opcode: pickletools.OpcodeInfo) -> None:
    message = refusal(opcode.code.encode("latin1"))
    assert (f"the instruction {opcode.name}, which plain data does not need" in message) == (
        opcode.name not in PLAIN_INSTRUCTIONS.split()
    )


def test_bytes_that_are_no_instruction_are_named() -> None:
    known = {opcode.code.encode("latin1") for opcode in pickletools.opcodes}
    for byte in {bytes([value]) for value in range(256)} - known:
        assert f"byte {byte!r} as an instruction" in refusal(byte)


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list of what was called: functions and methods of the module ``trap``, which a pickle can name."""
    sprung: list[str] = []

    class Trap:
        def __new__(cls, *_: object, **__: object) -> Trap:
            sprung.append("__new__")
            return super().__new__(cls)

        def __init__(self, *_: object, **__: object) -> None:
            sprung.append("__init__")

        def __setstate__(self, _: object) -> None:
            sprung.append("__setstate__")

        def __getattr__(self, name: str) -> Any:
            sprung.append(name)
            raise AttributeError(name)

        def append(self, _: object) -> None:
            sprung.append("append")

        def __setitem__(self, *_: object) -> None:
            sprung.append("__setitem__")

    module = types.ModuleType("trap")
    module.__dict__.update(call=lambda *_: sprung.append("call"), Trap=Trap)
    module.__getattr__ = lambda name: sprung.append(f"looked up {name}") or Trap  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "trap", module)
    for code in (7, 300, 70000):
        monkeypatch.setitem(copyreg._inverted_registry, code, ("trap", "ext"))  # type: ignore[attr-defined]
    return sprung


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


CALL, TRAP = name("trap", "call"), name("trap", "Trap")
HOSTILE = {
    "GLOBAL": name("trap", "hidden") + b".",
    "STACK_GLOBAL": b"\x80\x04\x8c\x04trap\x8c\x06hidden\x93.",
    "REDUCE": CALL + b")R.",
    "REDUCE with arguments": CALL + b"(K\x01K\x02tR.",
    "INST": b"(S'x'\nitrap\ncall\n.",
    "OBJ": b"(" + CALL + b"S'x'\no.",
    "NEWOBJ": b"\x80\x02" + TRAP + b")\x81.",
    "NEWOBJ_EX": b"\x80\x04" + TRAP + b")}\x92.",
    "BUILD": b"\x80\x02" + TRAP + b")\x81}b.",
    "EXT1": b"\x80\x02\x82\x07.",
    "EXT2": b"\x80\x02\x83" + struct.pack("<H", 300) + b".",
    "EXT4": b"\x80\x02\x84" + struct.pack("<i", 70000) + b".",
    "APPEND": b"\x80\x02" + TRAP + b")\x81K\x01a.",
    "APPENDS": b"\x80\x02" + TRAP + b")\x81(K\x01e.",
    "SETITEM": b"\x80\x02" + TRAP + b")\x81K\x01K\x02s.",
    "SETITEMS": b"\x80\x02" + TRAP + b")\x81(K\x01K\x02u.",
    "getattr": name("__builtin__", "getattr") + b"(" + TRAP + b"S'__new__'\ntR(" + TRAP + b"tR.",
    "a key": b"}(" + CALL + b")RK\x01u.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_python_springs_the_trap_and_we_do_not(kind: str, trap: list[str]) -> None:
    with suppress(AttributeError, TypeError):  # after the call
        pickle.loads(HOSTILE[kind])
    assert trap, "no trap"
    trap.clear()
    assert "which plain data does not need" in refusal(HOSTILE[kind])
    assert not trap


@pytest.mark.parametrize("content", [b"P1\n.", b"K\x01Q.", b"\x80\x05\x97.", b"\x80\x05C\x01x\x98."])
def test_what_is_left_to_the_program_is_refused(content: bytes) -> None:
    """Persistent identifiers and buffers from elsewhere."""
    assert "which plain data does not need" in refusal(content)


@pytest.mark.parametrize("protocol", [0, 4])
def test_no_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    (tmp_path / "planted.py").write_text("raise SystemError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    content = {0: b"cplanted\nx\n.", 4: b"\x80\x04\x8c\x07planted\x8c\x01x\x93."}[protocol]
    with pytest.raises(SystemError, match="imported"):
        pickle.loads(content)
    assert "uses planted.x" in refusal(content)


def test_a_name_is_shown_in_one_line_and_not_whole() -> None:
    message = refusal(b"\x80\x04\x8c\x03a\nb\x8c\xc8" + b"x" * 200 + b"\x93.")
    assert r"uses a\nb.xxx" in message and len(message) < 300


# ------------------------------------------------------------------------------------- arguments of the stand-ins

NDARRAY = name("numpy.core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray") + b"(K\x00tC\x01btR"


def dtype(text: bytes = b"u1", state: bytes = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb") -> bytes:
    return name("numpy", "dtype") + b"(U" + bytes([len(text)]) + text + b"K\x00K\x01tR" + state


def array(made: bytes = dtype(), shape: bytes = b"K\x03\x85", raw: bytes = b"C\x03abc") -> bytes:
    return NDARRAY + b"(K\x01" + shape + made + b"\x89" + raw + b"tb."


def test_the_plain_ones_are_read() -> None:
    assert read(array()).tolist() == [97, 98, 99]
    assert not read(array()).flags.writeable


FLAGS = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK%ctb"
REFUSED = {
    "objects": (array(dtype(b"O8", FLAGS % 63)), "other than numbers"),
    "objects without their flags": (
        array(dtype(b"O8", FLAGS % 0), b"K\x01\x85", b"C\x08" + bytes(8)),
        "other than numbers",
    ),
    "flags of a number": (array(dtype(b"u8", FLAGS % 1)), "flags"),
    "fields": (array(dtype(state=b"(K\x03U\x01|NU\x01a\x85}K\x01K\x01K\x00tb")), "parts or fields"),
    "parts": (array(dtype(state=b"(K\x03U\x01|" + dtype() + b"K\x02\x86NNK\x01K\x01K\x00tb")), "parts or fields"),
    "a wrong size": (array(dtype(state=b"(K\x03U\x01|NNNK\x40K\x01K\x00tb")), "another size"),
    "void": (array(dtype(b"V8")), "other than numbers"),
    "a dtype by another text": (array(dtype(b"u1,O")), "other than numbers"),
    "text": (array(dtype(b"S1", FLAGS.replace(b"J\xff\xff\xff\xffJ", b"K\x01J") % 0)), "other than numbers"),
    "too few bytes": (array(shape=b"M\xff\xff\x85"), "of 3 bytes instead of 65,535"),
    "a shape beyond memory": (
        array(shape=b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87"),
        "of 3 bytes instead",
    ),
    "a negative length": (array(shape=b"J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86"), "without a shape"),
    "too many dimensions": (array(shape=b"(" + b"K\x01" * 99 + b"t", raw=b"C\x01a"), "without a shape"),
    "another class": (array().replace(b"numpy\nndarray", b"numpy\ndtype"), "special class"),
    "a list as content": (array(raw=b"(K\x01K\x02K\x03l"), "not bytes"),
    "a number of eight bytes as an object": (
        name("numpy.core.multiarray", "scalar") + b"(" + dtype(b"O8", FLAGS % 0) + b"C\x08abcdefghtR.",
        "other than numbers",
    ),
    "a number of another size": (
        name("numpy.core.multiarray", "scalar") + b"(" + dtype() + b"C\x02abtR.",
        "another size",
    ),
    "another encoding": (name("_codecs", "encode") + b"(X\x01\x00\x00\x00aU\x08punycodetR.", "than latin1"),
    "bytes of a length": (name("builtins", "bytes") + b"(J\xff\xff\xff\x7ftR.", "something else"),
    "state for a function": (
        name("numpy.core.multiarray", "scalar") + b"}U\x0c__defaults__)sb.",
        "changes what is complete",
    ),
    "state for a dict": (b"}}b.", "changes what is complete"),
    "a dtype built twice": (dtype() + b"}b.", "changes what is complete"),
    "an argument called": (name("numpy", "ndarray") + b"(K\x05tR.", "not to be called"),
    "a value called": (b"K\x01)R.", "not to be called"),
    "arguments as a list": (name("collections", "OrderedDict") + b"]R.", "not to be called"),
    "a dict of something else": (name("collections", "OrderedDict") + b"(K\x05tR.", "unknown form"),
    "a list as a key": (b"}(]K\x01u.", "keys other than text"),
    "a tuple as a key": (b"}()K\x01u.", "keys other than text"),
    "a name as a key": (b"}(" + name("numpy", "ndarray") + b"K\x01u.", "keys other than text"),
    "a key alone": (b"}(K\x01u.", "a key without a value"),
    "half a letter": (b"X\x03\x00\x00\x00\xed\xb3\xa9.", "can't decode"),
    "half a letter, escaped": (b"V\\udce9\n.", "surrogates not allowed"),
    "an escape of another kind": (b"S'\\N'\n.", "without its quotes"),
    "no quotes": (b"Sabc\n.", "without its quotes"),
    "a huge number": (b"\x8b\x00\x00\x01\x00" + b"\x7f" * 65536 + b".", "a number of 65,536 bytes"),
    "a long number": (b"I" + b"9" * 5000 + b"\n.", "a number of 5,000 digits"),
    "a length beyond the end": (b"\x8e" + struct.pack("<Q", 1 << 62) + b"x.", "ends too early"),
    "a negative size": (b"T\xff\xff\xff\xffx.", "negative length"),
    "nothing on the stack": (b".", "pop from empty list"),
    "no mark": (b"t.", "pop from empty list"),
    "nothing in the memo": (b"h\x07.", "7"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_arguments_that_plain_data_does_not_have_are_refused(kind: str) -> None:
    content, reason = REFUSED[kind]
    assert reason in refusal(content)


def test_no_stand_in_is_what_it_stands_for() -> None:
    for known in PLAIN_NAMES.values():
        assert known.call is None or known.call.__module__ == "mamlbench_plugins.datasets.pickle_stand_ins"


# ------------------------------------------------------------------------------------------------ time and memory


def test_nested_repetition_takes_no_time() -> None:
    """A tuple of two of the tuple before, 200 times: whatever walks through it never ends."""
    content = b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(200)) + b"."
    before = time.process_time()
    assert isinstance(read(content), tuple)
    assert "keys other than text" in refusal(b"}(" + content[:-1] + b"K\x01u.")
    assert time.process_time() - before < 5


def test_deep_nesting_is_read_without_recursion() -> None:
    value = read(b"]" * 50_000 + b"a" * 49_999 + b".")
    depth = 0
    while value:
        (value,) = value
        depth += 1
    assert depth == 49_999


def test_the_number_of_instructions_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_unpickle, "MAX_INSTRUCTIONS", 1000)
    assert "more than 1,000 instructions" in refusal(b"}" * 2000)


# ------------------------------------------------------------------------------------------- as Python reads them

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.binary() | st.text()
)
KEYS = st.text() | st.binary() | st.integers()
DATA = st.recursive(
    SCALARS | st.lists(st.integers(0, 255)).map(lambda numbers: np.array(numbers, np.uint8)),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)


def same(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and first.dtype == second.dtype and bool((first == second).all())
    if isinstance(first, list | tuple):
        return type(first) is type(second) and len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    return type(first) is type(second) and bool(first == second)


@given(DATA, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_is_what_python_reads(data: Any, protocol: int) -> None:
    content = pickle.dumps(data, protocol)
    assert same(read(content), pickle.loads(content))
    assert same(read(pickletools.optimize(content)), data)


@pytest.mark.parametrize("kind", ["b1", "i1", ">u2", "<i4", "f2", ">f4", "f8"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_kind_of_number(kind: str, protocol: int) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    for data in (values, np.asfortranarray(values), values[:0], values[0, 0, 1], np.array(values[1, 1, 1])):
        result = read(pickle.dumps(data, protocol))
        assert result.dtype == data.dtype and result.shape == data.shape and (result == data).all()
    assert read(pickle.dumps((np.str_("é"), np.bytes_(b"x")), protocol)) == ("é", b"x")


@given(st.binary(max_size=60))
def test_random_bytes_end_in_an_error_or_in_data(content: bytes) -> None:
    with suppress(DataError):
        assert not callable(read(content))
