from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamlbench.errors import DataError
from mamlbench_plugins.datasets.safe_unpickle import read_plain_pickle

PLAIN = {
    "image_data": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3),
    "class_dict": OrderedDict(n01=[0, 1], n02=np.array([1])),
    "number": np.float32(1.5),
    "text": ("a", b"b", None, True, 2**70),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(PLAIN, protocol))
    data = read_plain_pickle(path)
    assert (data["image_data"] == PLAIN["image_data"]).all() and data["image_data"].dtype == np.uint8
    assert data["class_dict"]["n01"] == [0, 1] and data["class_dict"]["n02"].tolist() == [1]
    assert data["number"] == 1.5 and data["text"] == PLAIN["text"]


def test_what_python_2_wrote_is_read(tmp_path: Path) -> None:
    """Text and array contents are byte strings; the name of numpy's core is the old one."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I3\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x01\\xff\\x80'\ntb."
    )
    (tmp_path / "x.pkl").write_bytes(b"(dS'image_data'\n" + array[:-1] + b"s.")
    data = read_plain_pickle(tmp_path / "x.pkl")
    assert data["image_data"].tolist() == [1, 255, 128]


class Call:
    """Pickled as a function call, which an attacker wants to run."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", ["system", "eval", "open", "getattr", "import"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, protocol: int, function: str) -> None:
    trap = tmp_path / "sprung"
    command = f"touch {trap}"
    hostile = {
        "system": Call(os.system, command),
        "eval": Call(eval, f"__import__('os').system({command!r})"),
        "open": Call(open, str(trap), "w"),
        "getattr": Call(getattr, Path, "unlink"),
        "import": Call(__import__, "antigravity"),
    }[function]
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({**PLAIN, "class_dict": hostile}, protocol))
    with pytest.raises(DataError, match=r"x\.pkl' cannot be read \(it uses .*which plain data does not need"):
        read_plain_pickle(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    [
        "numpy\nload",
        "numpy\nndarray.tofile",
        "numpy.core.multiarray\n_reconstruct.__class__",
        "builtins\nprint",
        "collections\nOrderedDict.__init__.__globals__",
    ],
)
def test_no_other_name_is_looked_up(tmp_path: Path, name: str) -> None:
    module, attribute = name.split("\n")
    names = b"".join(b"\x8c" + bytes([len(name)]) + name.encode() for name in (module, attribute))
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04" + names + b"\x93.")
    with pytest.raises(DataError, match="which plain data does not need"):
        read_plain_pickle(tmp_path / "x.pkl")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(PLAIN)[:-40], b"\x82\x01."])
def test_damaged_pickles_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.pkl' cannot be read .*download it again"):
        read_plain_pickle(tmp_path / "x.pkl")
