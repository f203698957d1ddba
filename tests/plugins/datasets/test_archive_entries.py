"""Archives from anywhere: what is plain is read, everything else is refused with one sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import DataError, ExitCode
from mamlbench_plugins.datasets import archive_entries
from mamlbench_plugins.datasets.archives import ArchiveStore, FileStore

FILES = {"train/cat/1.png": b"one" * 100, "train/cat/2.png": b"two", "Größe/\u202fx.png": b""}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.mkdir("train")
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes], *members: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def read(folder: Path, content: bytes, name: str = "x.tar") -> dict[str, bytes]:
    """All files of an archive, by the way that data sets read it."""
    path = folder / name
    path.write_bytes(content)
    store = ArchiveStore(path)
    contents = dict(store.read(store.names()))
    assert all(isinstance(value, bytes) for value in contents.values()), contents
    return contents  # type: ignore[return-value]


def refusal(folder: Path, content: bytes) -> str:
    """The sentence with which an archive is refused when it is listed, before a file of it is read."""
    path = folder / "x.tar"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        ArchiveStore(path).names()
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    assert list(folder.iterdir()) == [path]
    return str(error.value)


# --------------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("kind", ["zip", *PACK])
def test_the_content_decides_whatever_the_suffix_says(tmp_path: Path, kind: str, suffix: str) -> None:
    content = zipped(FILES) if kind == "zip" else PACK[kind](tarred({f"./{name}": FILES[name] for name in FILES}))
    assert read(tmp_path, content, f"x{suffix}") == FILES


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_usual_tar_is_read_long_names_too(tmp_path: Path, kind: int) -> None:
    files = FILES | {f"train/{'long' * 20}/{'name' * 15}.png": b"x" * 600}
    assert read(tmp_path, tarred(files, member("train", tarfile.DIRTYPE), kind=kind)) == files


@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}/[a-zé ]{1,9}\.png", fullmatch=True), st.binary(max_size=2000)))
def test_what_is_packed_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("archives")
    for pack in PACK.values():
        assert read(folder, pack(tarred(files))) == files
    assert read(folder, zipped(files)) == files


def test_several_streams_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    """As pigz, pbzip2 and pixz write them."""
    content = tarred(FILES)
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert read(tmp_path, pack(content[:700]) + pack(content[700:])) == FILES


# -------------------------------------------------------------------------------------- what is not plain files


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png", "C:\\x.png", "a/..", "\\x"])
def test_entries_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    for content in (zipped(FILES | {name: b""}), tarred(FILES, member(name))):
        assert f"holds {name!r}, which lies outside" in refusal(tmp_path, content)


def test_a_name_is_shown_in_one_line_and_not_whole(tmp_path: Path) -> None:
    message = refusal(tmp_path, tarred({"a\nError: forged" + "x" * 1000: b""}))
    assert "'a\\nError: forgedxxx" in message and "control characters" in message and len(message) < 500
    raw = member("caf\udce9.png")  # Latin-1 in place of UTF-8
    out = raw.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + bytes(1024)
    assert "is not UTF-8" in refusal(tmp_path, out)


LINKS = {
    "symbolic link": member("link", tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": member("link", tarfile.LNKTYPE, linkname="train/cat/1.png"),
    "character device": member("zero", tarfile.CHRTYPE, devmajor=1, devminor=5),
    "block device": member("disk", tarfile.BLKTYPE, devmajor=8),
    "pipe": member("pipe", tarfile.FIFOTYPE),
    "of an unknown kind": member("odd", b"Z"),
}


@pytest.mark.parametrize("kind", LINKS)
def test_links_and_devices_in_a_tar_archive_are_refused(tmp_path: Path, kind: str) -> None:
    message = refusal(tmp_path, gzip.compress(tarred(FILES, LINKS[kind])))
    assert ("which is a link to" if "link" in kind else "which is neither a file nor a folder") in message


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_archive_are_refused(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("odd")
    info.external_attr = (mode | 0o777) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    expected = "which is a link" if mode == stat.S_IFLNK else "which is neither a file nor a folder"
    assert f"holds 'odd', {expected}" in refusal(tmp_path, out.getvalue())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", b"1")
        archive.writestr("a.png", b"2")
    assert "holds 'a.png', twice" in refusal(tmp_path, out.getvalue())
    assert "holds 'a.png', twice" in refusal(tmp_path, tarred({"a.png": b"", "./a.png": b""}))


def test_encrypted_and_unusual_zip_archives_are_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.png": b"x"}))
    content[content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1) + 8] |= 1
    assert "which is encrypted" in refusal(tmp_path, bytes(content))
    for method, name in ((zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")):
        assert f"compressed by {name} instead of deflate" in refusal(tmp_path, zipped({"a.png": b"x"}, method))


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    for headers in (
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"},
        {"GNU.sparse.map": "0,1"},
    ):
        content = tarred({}, member("a", size=0, pax_headers=headers | {"GNU.sparse.realsize": "9" * 15}))
        assert "sparse" in refusal(tmp_path, content)
    old = member("a", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT)
    assert "it has sparse files" in refusal(tmp_path, old + bytes(1024))


# -------------------------------------------------------------------------------------------------------- bombs


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_entries, "ALWAYS_UNPACKED", 1 << 20)
    monkeypatch.setattr(archive_entries, "MAX_FILE", 1 << 20)


def peak_memory(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("small_limits")
def test_declared_bombs_are_refused(tmp_path: Path) -> None:
    assert "which has 2,000,000 bytes; up to 1,048,576 are read" in refusal(tmp_path, zipped({"a": bytes(2000000)}))
    many = {f"{number}": bytes(1 << 19) for number in range(40)}
    assert "unpacks to more than" in refusal(tmp_path, zipped(many))
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert "unpacks to more than" in refusal(tmp_path, pack(tarred(many)))


def test_a_file_that_declares_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    content = member("a.png", size=5 << 30).tobuf(tarfile.GNU_FORMAT)
    assert "which has 5,368,709,120 bytes" in refusal(tmp_path, content + bytes(1024))


@pytest.mark.usefixtures("small_limits")
def test_undeclared_bombs_take_no_memory(tmp_path: Path) -> None:
    """A zip archive that declares 100 bytes of 30 MB, and tar archives whose headers, names or ends are 30 MB."""
    content = bytearray(zipped({"a.png": bytes(30 << 20)}))
    start = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, start + 24, 100)
    (tmp_path / "x.zip").write_bytes(content)

    def unpack() -> None:
        ((_, result),) = ArchiveStore(tmp_path / "x.zip").read(["a.png"])
        assert isinstance(result, zipfile.BadZipFile)

    assert peak_memory(unpack) < 4 << 20
    (tmp_path / "x.zip").unlink()
    huge = 30 << 20
    headers = [member("name", kind, size=huge).tobuf() for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)]
    for start_of_bomb in [*headers, tarred(FILES)]:
        for pack in (gzip.compress, bz2.compress, lzma.compress):
            packed = pack(start_of_bomb + bytes(huge))
            assert peak_memory(lambda packed=packed: refusal(tmp_path, packed)) < 16 << 20


def test_xz_may_not_ask_for_gigabytes_of_memory(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20}]
    content = bytearray(lzma.compress(tarred(FILES), filters=filters))
    assert read(tmp_path, bytes(content)) == FILES
    start = 12  # the first block's header: size, flags, filter's id, size of its properties, size of the dictionary
    content[start + 4] = 38  # 3 GiB
    size = (content[start] + 1) * 4
    struct.pack_into("<I", content, start + size - 4, zlib.crc32(content[start : start + size - 4]))
    assert "Memory usage limit" in refusal(tmp_path, bytes(content))


# ------------------------------------------------------------------------------------------------------- damage


def test_every_bit_of_a_header_counts(tmp_path: Path) -> None:
    """Python's own reader takes a damaged later header for the end, and says nothing."""
    content = tarred(FILES)
    second = content.index(b"train/cat/2.png")
    assert second % 512 == 0
    for byte in (0, 10, 100, 124, 135, 148, 156, 257, 300):
        damaged = bytearray(content)
        damaged[second + byte] ^= 4
        message = refusal(tmp_path, bytes(damaged))
        assert "cannot be read" in message and f"at byte {second:,}" in message


def test_an_archive_that_ends_early_or_has_a_hole_is_refused(tmp_path: Path) -> None:
    content = tarred(FILES)
    last = content.index(b"train/cat/2.png")
    for end in range(512, last + 1024, 512):
        assert "cannot be read" in refusal(tmp_path, content[:end])
    assert "after its end" in refusal(tmp_path, content[:last] + bytes(512) + content[last + 512 :])
    for kind in ("gz", "bz2", "xz"):
        packed = PACK[kind](content)
        for length in (1, len(packed) // 2, len(packed) - 5):
            assert "cannot be read" in refusal(tmp_path, packed[:length])


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_one_flipped_bit_of_a_compressed_archive_is_found(tmp_path: Path, kind: str) -> None:
    pixels = os.urandom(3000)
    packed = bytearray(PACK[kind](tarred({"a.png": pixels})))
    for place in range(20, len(packed) - 12, 97):
        damaged = bytearray(packed)
        damaged[place] ^= 8
        assert "cannot be read" in refusal(tmp_path, bytes(damaged))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><title>Not found", b"x" * 5000, b"PK\x03\x04" + bytes(99)])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    assert "cannot be read" in refusal(tmp_path, content)


def test_a_zip_archive_whose_names_are_not_utf_8_is_refused(tmp_path: Path) -> None:
    content = zipped({"é.png": b""}).replace("é".encode(), b"\xff\xfe")
    assert "cannot be read" in refusal(tmp_path, content)


def test_a_damaged_file_of_a_zip_archive_is_an_error_of_that_file(tmp_path: Path) -> None:
    content = bytearray(zipped({"a": b"first" * 9, "b": b"second" * 9}, zipfile.ZIP_STORED))
    content[content.index(b"firstfirst") + 2] ^= 1
    (tmp_path / "x.zip").write_bytes(content)
    contents = dict(ArchiveStore(tmp_path / "x.zip").read(["a", "b"]))
    assert "Bad CRC" in str(contents["a"]) and contents["b"] == b"second" * 9


@pytest.mark.skipif(os.name == "nt", reason="no pipes in folders")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    ((_, content),) = FileStore(tmp_path / "a.png").read(["a.png"])
    assert str(content) == "it is not a regular file"


# ------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_run_ends_with_the_sentence_and_writes_nothing(tmp_path: Path, suffix: str, call: Callable[..., Any]) -> None:
    files = {f"{name}/{number}.png": b"" for name in ("cat", "dog", "owl") for number in range(3)}
    evil = files | {"../../planted.png": b""}
    data = tmp_path / "data"
    data.mkdir()
    (data / f"x{suffix}").write_bytes(zipped(evil) if suffix == ".zip" else gzip.compress(tarred(evil)))
    code, out, err = call(
        *("run", "--algo", "maml", "--dataset", "folder", "--data-dir", str(data), "-o", f"dataset.path=x{suffix}"),
        *("--results-dir", str(tmp_path / "results")),
    )
    assert code == ExitCode.USAGE and out == ""
    (error,) = [line for line in err.splitlines() if not line.endswith(": preparing data")]
    assert error.startswith("Error: ") and "'../../planted.png', which lies outside the archive's own folder" in error
    assert not [path for path in tmp_path.rglob("*") if data not in (path, path.parent)]
