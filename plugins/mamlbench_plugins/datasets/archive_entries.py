"""Entries of zip and tar archives from anywhere: every one is checked, and an archive that is not plain is refused.

Nothing is extracted to disk. Still, an entry outside the archive's folder, a link or a device shows that an archive is
made to harm, or that files are missing from it; and one of a few kilobytes can unpack to more than the memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from mamlbench.api import DataError

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,  # names that cannot be decoded, numbers that cannot be read
    LookupError,
    ArithmeticError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)
"""Exceptions raised by reading a damaged archive."""

MAX_FILE = 1 << 30
"""Bytes of the largest file that is read; CIFAR-100's largest has 155 MB."""

ALWAYS_UNPACKED = 1 << 30
MAX_RATIO = 100
"""An archive that unpacks to more than ``ALWAYS_UNPACKED`` bytes and ``MAX_RATIO`` times its own size is refused."""

MAX_XZ_MEMORY = 256 << 20
"""Bytes of memory for unpacking xz, which the file itself asks for: xz's highest level needs 65 MiB."""

_UNNAMED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # Python decodes what is no UTF-8 to surrogates
_NO_NAME = "whose name has control characters or is not UTF-8"
_NO_FILE = "which is neither a file nor a folder"
_MAX_EXTENSION = 1 << 20  # bytes of a tar header for one long name or a few attributes
_BUFFER = 1 << 20
_BLOCK = tarfile.BLOCKSIZE

_Kind = Literal["zip", "gz", "bz2", "xz", "tar"]
_MAGIC: dict[bytes, _Kind] = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # without a file
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class RefusedArchiveError(DataError):
    """An archive can be read, but holds something that an archive of data does not need."""


@dataclass(frozen=True)
class ArchiveEntry:
    """A file or folder in an archive.

    Args:
        name: its path with '/' between the parts, without './' in front; a folder's has no '/' at its end.
        is_folder: whether it is a folder.
        read: returns the content of a file, or raises one of ``UNREADABLE``. That of a tar archive is to be called
            before the next entry is taken.
    """

    name: str
    is_folder: bool
    read: Callable[[], bytes]


@contextmanager
def open_archive(path: Path, only: Literal["zip"] | None = None) -> Iterator[Iterable[ArchiveEntry]]:
    """Open a zip or tar archive; its content decides which, whatever its suffix. Entries come in the file's order.

    A zip archive is checked as a whole at once, and its entries can be read in any order; a reader that needs this
    takes ``only`` those. A tar archive is checked entry by entry: one that was iterated to its end is good.

    Raises RefusedArchiveError if the archive is refused, or one of ``UNREADABLE`` if it is damaged.
    """
    with path.open("rb") as file:
        kind = _kind(file)
        if only not in (None, kind):
            raise zipfile.BadZipFile(f"it is no {only} archive, whatever its name says")
        if kind == "zip":
            with zipfile.ZipFile(file) as archive:
                yield _zip_entries(archive, path)
        else:
            with _open_tar(file, path, kind) as members:
                yield _tar_entries(members, path)


def _kind(file: BinaryIO) -> _Kind:
    head = file.read(_BLOCK)
    file.seek(0)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # zeros, which end an archive without files
        return "tar"
    except tarfile.HeaderError:
        raise tarfile.ReadError("it is neither a zip nor a tar archive, or damaged at its beginning") from None
    return "tar"


class _Checks:
    """What holds for the entries of any archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.limit = unpacked_limit(path)
        self.unpacked = 0
        self.files: set[str] = set()

    def checked(self, name: str, size: int, is_folder: bool) -> str:
        """Return the name of an entry as it is used. Raises RefusedArchiveError."""
        parts = re.split(r"[/\\]", name)
        if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:[/\\]", name):
            raise self.refused(name, "which lies outside the archive's own folder")
        if _UNNAMED.search(name):
            raise self.refused(name, _NO_NAME)
        if size > MAX_FILE:
            raise self.refused(name, f"which has {size:,} bytes; up to {MAX_FILE:,} are read")
        self.unpacked += size
        if self.unpacked > self.limit:
            raise bomb(self.path)
        name = name.removeprefix("./").rstrip("/")
        if not is_folder and name in self.files:
            raise self.refused(name, "twice")
        self.files.add(name)
        return name

    def refused(self, name: str, what: str) -> RefusedArchiveError:
        shown = repr(name if len(name) <= 200 else f"{name[:200]}...")
        return RefusedArchiveError(f"'{self.path}' holds {shown}, {what}: pack plain files and folders, each once.")


def unpacked_limit(path: Path) -> int:
    """Bytes that an archive may unpack to."""
    return max(ALWAYS_UNPACKED, MAX_RATIO * path.stat().st_size)


def bomb(path: Path) -> RefusedArchiveError:
    """Make the error for an archive that unpacks to too much."""
    return RefusedArchiveError(
        f"'{path}' unpacks to more than {unpacked_limit(path):,} bytes, {MAX_RATIO} times its own size or more: if it "
        "is not made to fill the memory, unpack it and name the folder."
    )


# ------------------------------------------------------------------------------------------------------------- zip

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The others unpack a few bytes to gigabytes before Python can stop them."""


def _zip_entries(archive: zipfile.ZipFile, path: Path) -> list[ArchiveEntry]:
    checks = _Checks(path)
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    return [_zip_entry(archive, info, checks) for info in infos]


def _zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, checks: _Checks) -> ArchiveEntry:
    name = checks.checked(info.filename, info.file_size, info.is_dir())
    kind = stat.S_IFMT(info.external_attr >> 16)  # of Unix; others leave it 0
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise checks.refused(name, "which is a link" if stat.S_ISLNK(kind) else _NO_FILE)
    if "\x00" in info.orig_filename:
        raise checks.refused(info.orig_filename, _NO_NAME)
    if info.flag_bits & _ENCRYPTED:
        raise checks.refused(name, "which is encrypted")
    if info.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(info.compress_type, "an unknown method")  # type: ignore[attr-defined]
        raise checks.refused(name, f"which is compressed by {method} instead of deflate")
    return ArchiveEntry(name, info.is_dir(), partial(_read_zip_entry, archive, info))


def _read_zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        # With a size, Python stops unpacking there. Without one it unpacks all that is packed, whatever is declared.
        content = file.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{len(content):,} bytes instead of {info.file_size:,}")
    return content


# ------------------------------------------------------------------------------------------------------------- tar


class _StrictHeader(tarfile.TarInfo):
    """A header that raises ReadError if it is damaged; Python's takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _StrictHeader:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {archive.offset:,}") from None

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictHeader:
        header = super().frombuf(buf, encoding, errors)
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("it has sparse files")
        if header.size < 0 or (header.type in _EXTENSIONS and header.size > _MAX_EXTENSION):
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header

    def _proc_gnusparse_10(self, *_: object) -> None:
        """Refuse a map of holes, which Python would read up to any length."""
        raise tarfile.ReadError("it has sparse files")


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _XzReader:
    """Unpacks xz with a limit of memory, which Python's own file of it lacks."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.decoder: lzma.LZMADecompressor | None = None

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        while True:
            if self.decoder is None or self.decoder.eof:
                packed = (self.decoder.unused_data if self.decoder else b"").lstrip(b"\x00") or self.file.read(_BUFFER)
                if not packed.strip(b"\x00"):
                    return b""
                self.decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
            else:
                packed = self.file.read(_BUFFER) if self.decoder.needs_input else b""
                if self.decoder.needs_input and not packed:
                    raise EOFError("it ends too early")
            if unpacked := self.decoder.decompress(packed, size):
                return unpacked


_UNPACKERS: dict[str, Callable[[BinaryIO], _Reader]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "bz2": bz2.BZ2File,
    "xz": _XzReader,
}


class _Limited:
    """Counts what is unpacked, headers and padding too. Raises RefusedArchiveError at the limit."""

    def __init__(self, reader: _Reader, path: Path) -> None:
        self.reader = reader
        self.path = path
        self.left = unpacked_limit(path)

    def read(self, size: int, /) -> bytes:
        content = self.reader.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise bomb(self.path)
        return content


@contextmanager
def _open_tar(file: BinaryIO, path: Path, kind: _Kind) -> Iterator[tarfile.TarFile]:
    if kind == "tar":
        with tarfile.TarFile(fileobj=file, tarinfo=_StrictHeader) as archive:
            yield archive
    else:
        stream: Any = _Limited(_UNPACKERS[kind](file), path)  # tarfile needs its method read alone
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER, tarinfo=_StrictHeader) as archive:
            yield archive


def _tar_entries(archive: tarfile.TarFile, path: Path) -> Iterator[ArchiveEntry]:
    checks = _Checks(path)
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # it would keep a kilobyte for each
        name = checks.checked(member.name, member.size, member.isdir())
        if member.islnk() or member.issym():
            raise checks.refused(name, f"which is a link to {member.linkname[:200]!r}")
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise checks.refused(name, "which is a sparse file" if member.isreg() else _NO_FILE)
        if name not in ("", "."):
            yield ArchiveEntry(name, member.isdir(), partial(_content, archive, member))
    _check_end(archive)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None, member  # it is a regular one
    return file.read()


def _check_end(archive: tarfile.TarFile) -> None:
    """Read to the end, where checksums of compressed data are, and after which an archive has zeros alone."""
    assert archive.fileobj is not None
    while rest := archive.fileobj.read(_BUFFER):
        if rest.strip(b"\x00"):
            raise tarfile.ReadError("there are data after its end, or zeros have replaced a part of it")
