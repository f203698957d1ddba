from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mamlbench.api import CachedImages, DataPaths, ImageStream
from mamlbench.data.raw_files import RawFile, RawFiles
from mamlbench.errors import DataError

FINE = 1_600_000_000_123_456_789
"""A time with nanoseconds, as most file systems keep it."""


@pytest.fixture
def change_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Time at which every file was changed last, which only the system can set."""
    times = [FINE]
    stat = Path.stat

    def fixed(path: Path, **options: bool) -> SimpleNamespace:
        state = stat(path, **options)
        values = {name: getattr(state, name) for name in dir(state) if name.startswith("st_")}
        return SimpleNamespace(**values | {"st_ctime_ns": times[0]})

    monkeypatch.setattr(Path, "stat", fixed)
    yield times


def write(folder: Path, **contents: str) -> RawFiles:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(content)
        os.utime(folder / name, (1e9, 1e9))
    return RawFiles([RawFile(name, folder / name) for name in contents], folder.parent / "cache")


def remembered(folder: Path) -> list[Path]:
    return list((folder / "cache").rglob("*.json"))


def test_names_and_bytes_decide_and_not_folder_order_or_times(tmp_path: Path) -> None:
    a, same, other = (write(tmp_path / name, x=text, y="2") for name, text in (("a", "1"), ("b", "1"), ("c", "3")))
    swapped = write(tmp_path / "d", y="1", x="2")
    assert a.content_hash() == same.content_hash() == RawFiles(reversed(a.files), tmp_path / "cache").content_hash()
    assert len({a.content_hash(), other.content_hash(), swapped.content_hash()}) == 3


def test_a_hash_is_remembered_if_the_files_have_settled(tmp_path: Path, change_time: list[int]) -> None:
    files = write(tmp_path / "a", x="1")
    assert files.remembered_hash() is None
    content = files.content_hash()
    assert files.remembered_hash() == content and len(remembered(tmp_path)) == 1
    change_time[0] += 1
    assert files.remembered_hash() is None, "a change shows in this time alone if size and time of modification are set"
    write(tmp_path / "a", x="2")
    assert files.content_hash() != content


@pytest.mark.parametrize(
    "changed", [lambda: time.time_ns() - 10**6, lambda: FINE // 10**9 * 10**9], ids=["a moment ago", "coarse clock"]
)
def test_times_that_may_hide_a_change_are_not_trusted(tmp_path: Path, change_time: list[int], changed: object) -> None:
    assert callable(changed)
    change_time[0] = changed()
    files = write(tmp_path / "a", x="1")
    content = files.content_hash()
    assert not remembered(tmp_path)
    write(tmp_path / "a", x="2")
    assert files.content_hash() != content


def test_a_damaged_memory_is_not_believed(tmp_path: Path, change_time: list[int]) -> None:
    files = write(tmp_path / "a", x="1")
    content = files.content_hash()
    (memory,) = remembered(tmp_path)
    for damage in (b"", b"[]", b'{"content": 1}', b'{"content": "../x"}', b"\xff"):
        memory.write_bytes(damage)
        assert files.remembered_hash() is None
        assert files.content_hash() == content == files.remembered_hash()


@pytest.mark.skipif(os.name != "posix", reason="no named pipes")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    assert len(RawFiles([RawFile("x", tmp_path / "x")], tmp_path / "cache").content_hash()) == 64


def test_missing_files_and_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    files = write(tmp_path / "a", x="1", y="2")
    content = files.content_hash()
    (tmp_path / "a" / "y").unlink()
    assert files.content_hash() not in {content, write(tmp_path / "b", x="1").content_hash()}
    (tmp_path / "taken").touch()
    assert RawFiles(write(tmp_path / "a", x="1", y="2").files, tmp_path / "taken").content_hash() == content


# ------------------------------------------------------------------------------------------------- prepared from files


def prepare(folder: Path, *settings: object, during: str | None = None, stream: bool = False) -> bytes:
    """Return the pixels prepared from one file, which may be overwritten in the meantime."""
    path = folder / "x"

    def build() -> CachedImages | ImageStream:
        image = np.frombuffer(path.read_bytes(), np.uint8).reshape(1, 1, 1)
        facts = (np.array([0, 1]), ("a",), {})
        if during is not None:
            path.write_text(during)
        if stream:
            return ImageStream((1, 1, 1), *facts, iter([(0, image)]))
        import torch

        return CachedImages(torch.from_numpy(image.copy())[None], *facts)

    cached = DataPaths((), folder.parent / "cache").cached("set", [("x", path)], settings, build)
    return cached.images.numpy().tobytes()


def test_equal_names_sizes_and_times_are_not_taken_for_equal_images(tmp_path: Path) -> None:
    write(tmp_path / "a", x="1")
    write(tmp_path / "b", x="2")
    assert [prepare(tmp_path / name) for name in ("a", "b", "a")] == [b"1", b"2", b"1"]
    write(tmp_path / "c", x="2")
    assert prepare(tmp_path / "c", during="3") == b"2", "equal files elsewhere are prepared already"
    assert len(list((tmp_path / "cache").glob("set-*.safetensors"))) == 2


def test_other_settings_are_other_images(tmp_path: Path) -> None:
    write(tmp_path / "a", x="1")
    assert prepare(tmp_path / "a", 28) == b"1"
    paths = DataPaths((), tmp_path / "cache")
    assert paths.load_cached("set", [("x", tmp_path / "a" / "x")], [84]) is None


@pytest.mark.parametrize("stream", [False, True])
def test_files_that_change_meanwhile_are_an_error_and_nothing_is_kept(tmp_path: Path, stream: bool) -> None:
    write(tmp_path / "a", x="1")
    with pytest.raises(DataError, match="Files of set changed while they were prepared"):
        prepare(tmp_path / "a", during="2", stream=stream)
    assert not list((tmp_path / "cache").glob("*.safetensors"))
    assert prepare(tmp_path / "a", during="2") == b"2", "written again with the same content: nothing has changed"


def test_what_is_prepared_is_found_without_reading_a_file(tmp_path: Path, change_time: list[int]) -> None:
    write(tmp_path / "a", x="1")
    paths, files = DataPaths((), tmp_path / "cache"), [("x", tmp_path / "a" / "x")]
    assert paths.load_cached("set", files, ()) is None
    prepare(tmp_path / "a")
    cached = paths.load_cached("set", files, ())
    assert cached is not None and cached.class_names == ("a",)
