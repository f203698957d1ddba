"""Reading records from files and folders; a file that is not a record does not affect the others."""

from __future__ import annotations

import gc
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mamlbench.errors import ConfigError
from mamlbench.record import ResultStore, RunRecord, UnreadableRecordError, read_record

MAX_BYTES = 64 * 1024**2
"""Larger files are skipped; a record of 10,000 test episodes in three modes has about one megabyte."""


class LoadedRecords(NamedTuple):
    """The records read from files, and the files that were skipped."""

    records: list[RunRecord]
    problems: list[str]
    """One sentence for each skipped file."""
    files: list[Path]
    """The file of each record."""


def read_records(paths: Iterable[str | Path] = ("results",)) -> LoadedRecords:
    """Read every record among files and in folders (recursively), in order of path, each file once.

    A record without a name gets the name of its file. Raises ConfigError if a path does not exist.
    """
    loaded = LoadedRecords([], [], [])
    with _garbage_collection_off():
        _read_all(loaded, paths)
    return loaded


def _read_all(loaded: LoadedRecords, paths: Iterable[str | Path]) -> None:
    for path in dict.fromkeys(_resolved(_files(list(map(Path, paths))))):
        try:
            record = _read(path)
        except UnreadableRecordError as error:
            loaded.problems.append(str(error))
        else:
            loaded.records.append(record if record.name else record.model_copy(update={"name": path.stem}))
            loaded.files.append(path)


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """Turn the garbage collector off while many objects are created that all stay alive.

    Scanning them again and again takes as long as reading them. Afterwards they are moved to the oldest generation,
    otherwise the collector would scan them as soon as it is on again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()  # moves everything from the permanent generation to the oldest one
            gc.enable()


def _files(paths: list[Path]) -> Iterator[Path]:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ConfigError(
            *(f"'{path}' does not exist. Name record files, or folders that contain them." for path in missing)
        )
    for path in paths:
        if path.is_dir():
            yield from ResultStore(path).paths()
        else:
            yield path


def _resolved(files: Iterable[Path]) -> Iterator[Path]:
    """Yield the files' real paths. Each folder is resolved once, not once per file."""
    folders: dict[Path, Path] = {}
    for file in files:
        if file.is_symlink() or file.name in ("", ".."):
            yield file.resolve()
            continue
        if file.parent not in folders:
            folders[file.parent] = file.parent.resolve()
        yield folders[file.parent] / file.name


def _read(path: Path) -> RunRecord:
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableRecordError(f"'{path}' cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
        raise UnreadableRecordError(f"'{path}' is not a run record: it is not a regular file.")
    if status.st_size > MAX_BYTES:
        raise UnreadableRecordError(f"'{path}' is not a run record: it has {status.st_size / 1024**2:,.0f} MiB.")
    return read_record(path)
