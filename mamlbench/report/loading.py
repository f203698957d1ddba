"""LocalCopy and reading records; a file that is not one costs the others nothing."""

from __future__ import annotations

import gc
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mamlbench.errors import ConfigError
from mamlbench.record import ResultStore, RunRecord, UnreadableRecordError, read_record

LARGEST_BYTES = 64 * 1024**2
"""A record of 10,000 test episodes in three modes has about one megabyte."""


class Reading(NamedTuple):
    """What was found."""

    records: list[RunRecord]
    problems: list[str]
    """One sentence for each file that was skipped."""
    files: list[Path]
    """The file of each record."""


def read_records(paths: Iterable[str | Path] = ("results",)) -> Reading:
    """Read every record among files and in folders (and below them), in order of path, each once.

    A record without a name is given that of its file. Raises ConfigError where a path does not exist.
    """
    reading = Reading([], [], [])
    with _without_collector():
        _read_all(reading, paths)
    return reading


def _read_all(reading: Reading, paths: Iterable[str | Path]) -> None:
    for path in dict.fromkeys(_resolved(_files(list(map(Path, paths))))):
        try:
            record = _read(path)
        except UnreadableRecordError as error:
            reading.problems.append(str(error))
        else:
            reading.records.append(record if record.name else record.model_copy(update={"name": path.stem}))
            reading.files.append(path)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Everything read is kept: looking through it for garbage again and again takes as long as reading it.

    Afterwards what was read counts as old: else it would be looked through as soon as the collector is on again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()  # from the permanent generation into the oldest
            gc.enable()


def _files(paths: list[Path]) -> Iterator[Path]:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ConfigError(*(f"'{path}' does not exist: name records, or folders of them." for path in missing))
    for path in paths:
        if path.is_dir():
            yield from ResultStore(path).paths()
        else:
            yield path


def _resolved(files: Iterable[Path]) -> Iterator[Path]:
    """The files' real paths; a folder is looked up once, not for each of its files."""
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
        found = path.stat()
    except OSError as error:
        raise UnreadableRecordError(f"'{path}' cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device may never end
        raise UnreadableRecordError(f"'{path}' is no run record: it is no regular file.")
    if found.st_size > LARGEST_BYTES:
        raise UnreadableRecordError(f"'{path}' is no run record: it has {found.st_size / 1024**2:,.0f} MiB.")
    return read_record(path)
