"""The results folder: records are written whole or not at all, and never overwritten."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from mamlbench.atomic_write import remove_abandoned, temporary_path, write_atomically
from mamlbench.errors import ConfigError, MamlbenchError, one_line
from mamlbench.record.consistency import contradiction
from mamlbench.record.file_hashes import record_text, results_written, sealed
from mamlbench.record.run_record import SCHEMA_VERSION, RunRecord
from mamlbench.record.schema_1 import upgrade
from mamlbench.run_spec import Protocol, RunSpec, range_text
from mamlbench.run_spec.outside_text import escaped, file_name_of, loads_strictly, read_limited

MAX_RECORD_BYTES = 1 << 28
"""A record of a million test episodes has a tenth of it."""

ARTIFACTS = ("model.json", "checkpoint-1.json", "checkpoint-2.json", "checkpoint.json")
"""JSON files in a run's folder; the last one is of early releases."""

EVALUATION = re.compile(r"evaluation-[0-9a-f]{16}\.json")
"""Tests of a run's model on other data, beside it (``mamlbench.record.stored_evaluation``)."""

PROBE_BYTES = 1 << 16
"""Bytes that must fit into the results folder when a run begins: about a record."""

LONGEST_REASON = 300
"""Characters of the reason why a run ended, where its record cannot be written."""

LONGEST_PART = 48
"""Characters of the name of a data set or method in the name of a record; file systems allow 255 bytes in all."""


_ENDS = {
    "finished": "finished",
    "interrupted": "been interrupted",
    "diverged": "diverged",
    "failed": "failed",
}


class _Versioned(BaseModel):
    """What a record of any release holds."""

    schema_version: int


class UnreadableRecordError(MamlbenchError):
    """A file that is not a record of a schema version this release reads."""


class ResultStore:
    """Records under one folder, ``<stem>.json`` each, with artifacts in ``<stem>/`` beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def reserve(self, spec: RunSpec, fingerprint: str) -> tuple[str, int]:
        """Reserve a stem that no other run has, by making its artifact folder.

        Returns the stem and the attempt number: 1 for the first run of this spec with this fingerprint.
        Raises ConfigError if the folder cannot be written.
        """
        with self.writable():
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.folder)
            for attempt in range(1, 1_000_000):
                stem = _stem(spec, fingerprint, attempt)
                if self.record_path(stem).exists():  # a record whose artifacts were deleted, or not committed
                    continue
                try:
                    (self.folder / stem).mkdir()
                except FileExistsError:
                    continue
                return stem, attempt
        raise ConfigError(f"The results folder '{self.folder}' holds a million attempts at this run.")

    def refuse_unwritable(self) -> None:
        """Raise ConfigError if a record cannot be written: better now than after hours of training.

        A file is written and removed, in the nearest folder that exists.
        """
        with self.writable():
            folder = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
            probe = temporary_path(folder / "probe")
            try:
                probe.write_bytes(bytes(PROBE_BYTES))
            finally:
                probe.unlink(missing_ok=True)

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Raise an OSError inside as ConfigError that names the folder."""
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"The results folder '{self.folder}' cannot be written ({error.strerror}): "
                "choose another with --results-dir."
            ) from error

    def attempts(self, spec: RunSpec, fingerprint: str) -> list[tuple[str, int]]:
        """Return the stem and number of every attempt at this spec with this fingerprint, the latest first."""
        start = _stem(spec, fingerprint, "")
        with suppress(FileNotFoundError):
            names = {path.name.removesuffix(".json") for path in self.folder.iterdir() if path.name.startswith(start)}
            numbers = (int(name[len(start) :]) for name in names if name[len(start) :].isdecimal())
            return [(f"{start}{number}", number) for number in sorted(numbers, reverse=True)]
        return []

    def cell_name(self, spec: RunSpec, software: str) -> str:
        """Return a name for all runs of a spec by the same code; no run has it itself."""
        return _stem(spec, software, "cell")

    def paths_of(self, spec: RunSpec) -> list[Path]:
        """Return the record files in this folder of this spec, by any code and machine."""
        start = f"{_readable_name(spec)}-{spec.hash[:8]}-"
        with suppress(FileNotFoundError):
            names = os.listdir(self.folder)  # noqa: PTH208 (a shared suite looks often, in a folder of thousands)
            names = [name for name in names if name.startswith(start) and name.endswith(".json")]
            return [self.folder / name for name in sorted(names)]
        return []

    def artifacts(self, stem: str) -> Path:
        """Folder of the artifacts of the run called ``stem``."""
        return self.folder / stem

    def record_path(self, stem: str) -> Path:
        """File of the record of the run called ``stem``."""
        return self.folder / f"{stem}.json"

    def write(self, stem: str, record: RunRecord) -> Path:
        """Write the record, with its seal, atomically; return its path.

        Raises UnwrittenResultError if it cannot be written; what the file held before stays.
        """
        path = self.record_path(stem)
        reason = f": {one_line(record.reason, LONGEST_REASON)}" if record.reason else ""
        what = f"The run has {_ENDS[record.status]}{reason}{'' if reason.endswith('.') else '.'}\nIts record"
        with results_written(path, what, self.artifacts(stem)):
            write_atomically(path, record_text(sealed(record)).encode())
        return path

    def paths(self, prefix: str = "") -> list[Path]:
        """Return every record file in this folder and below whose name begins with ``prefix``, in order of name."""
        paths = []
        for folder, below, files in os.walk(self.folder):  # Path.rglob would stat each of ten thousand files
            below[:] = [name for name in below if not name.startswith(".")]  # programs' own folders
            if not os.path.isfile(f"{folder}.json"):  # noqa: PTH113 (Path.is_file raises an error if that is too long)
                names = (name for name in (*files, *below) if name.startswith(prefix))
                paths += [Path(folder, name) for name in names if looks_like_record(name)]
        return sorted(paths, key=lambda path: path.parts)  # comparing the paths themselves splits them each time

    def prefix(self, spec: RunSpec) -> str:
        """Return how the names of records of the same algorithm, data set, ways and shots as ``spec`` begin."""
        return _readable_name(spec).removesuffix(f"{spec.seed}")

    def records(self) -> Iterator[RunRecord]:
        """Read every record; raises UnreadableRecordError at the first that cannot be read."""
        for path in self.paths():
            yield read_record(path)


def read_record(path: Path) -> RunRecord:
    """Read one record. Raises UnreadableRecordError, with the reason, if the file is not one or contradicts itself."""
    record = _read(path)
    problem = contradiction(record)
    if problem:
        raise UnreadableRecordError(f"'{path}' contradicts itself: {problem}.")
    return record


def _read(path: Path) -> RunRecord:
    try:
        text = read_limited(path, MAX_RECORD_BYTES)
        value = loads_strictly(text)
    except OSError as error:
        raise UnreadableRecordError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        what = "the document: Invalid JSON: " if isinstance(error, json.JSONDecodeError | UnicodeError) else ""
        raise UnreadableRecordError(f"'{path}' is not a run record: {what}{error}.") from error
    problem = None
    try:
        record = RunRecord.model_validate_json(text)
        if "schema_version" in record.model_fields_set and record.schema_version == SCHEMA_VERSION:
            return record
    except ValidationError as error:
        problem = error
    try:
        version = _Versioned.model_validate_json(text).schema_version
        if version == 1:
            return RunRecord.model_validate(upgrade(value))
    except ValidationError as error:
        raise _not_a_record(path, error) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableRecordError(f"'{path}' is not a run record: {error!r}.") from error
    if problem is None or not 1 <= version <= SCHEMA_VERSION:  # of a later release
        raise UnreadableRecordError(
            f"'{path}' has schema version {version}; this release reads up to {SCHEMA_VERSION}."
        )
    raise _not_a_record(path, problem) from problem


def _not_a_record(path: Path, error: ValidationError) -> UnreadableRecordError:
    first = error.errors()[0]
    key = escaped(".".join(str(part) for part in first["loc"])) or "the document"
    return UnreadableRecordError(f"'{path}' is not a run record: {key}: {first['msg']}.")


def in_order(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Sort records by their beginning, the latest last; attempts at one spec by their number, since clocks jump."""
    latest: dict[tuple[str, str], str] = {}
    keys = []
    for record in sorted(records, key=lambda record: (record.attempt, record.started)):
        run = record.spec_hash, record.fingerprint
        latest[run] = max(record.started, latest.get(run, ""))  # not before the attempt before
        keys.append((latest[run], record.attempt, record))
    return [record for *_, record in sorted(keys, key=lambda key: key[:2])]


def _readable_name(spec: RunSpec) -> str:
    protocol = spec.protocol
    dataset, algorithm = spec.dataset.name[:LONGEST_PART], spec.algorithm.name[:LONGEST_PART]
    return file_name_of(f"{dataset}-{_size(protocol)}-{algorithm}-seed{spec.seed}")


def _size(protocol: Protocol) -> str:
    ways, shots = range_text(protocol.least_ways, protocol.ways), range_text(protocol.least_shots, protocol.shots)
    return f"{ways}w{shots}s"


def _stem(spec: RunSpec, fingerprint: str, attempt: int | str) -> str:
    return f"{_readable_name(spec)}-{spec.hash[:8]}-{fingerprint[:6]}-{attempt}"


def looks_like_record(name: str) -> bool:
    """Return whether a file of this name may be a record."""
    # Artifacts are JSON too, in a folder named after a record that may not have been written yet.
    is_artifact = name in ARTIFACTS or EVALUATION.fullmatch(name) is not None
    return name.endswith(".json") and not name.startswith(".") and not is_artifact
