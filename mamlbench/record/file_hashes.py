"""Checksums of a record and of the files beside it, by which ``mamlbench verify`` finds what has changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.errors import UnwrittenResultError
from mamlbench.run_spec.outside_text import loads_strictly

if TYPE_CHECKING:
    from mamlbench.record.run_record import RunRecord

SEAL = "sha256"
"""Name of the field that holds the checksum of all others."""

UNSEALED = ("checkpoint", "initial.")
"""How names of files begin that change until a run has finished; they have checksums of their own."""


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a run's folder by its name: model, episodes, sample sheet, but not its checkpoints."""
    hashes = {}
    with suppress(OSError):  # hours of training are worth a record, also if somebody has removed a file
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.is_symlink() and not path.name.startswith((".", *UNSEALED)):
                hashes[path.name] = file_hash(path)
    return hashes


def seal_of(content: dict[str, Any]) -> str:
    """SHA-256 of a record's JSON without its seal: of its values, not of how they are laid out in the file."""
    values = {name: value for name, value in content.items() if name != SEAL}
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seals_of(path: Path) -> tuple[str, str]:
    """The seal that a record's file has, '' if none, and the one that its content has now.

    Raises OSError or ValueError if the file cannot be read or is no JSON object.
    """
    content = loads_strictly(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    return str(content.get(SEAL, "")), seal_of(content)


def state_of_file(path: Path, expected: str) -> str:
    """Compare a file with its hash: 'as recorded', 'changed', 'missing', or why it cannot be read."""
    try:
        return "as recorded" if file_hash(path) == expected else "changed"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable ({error.strerror})"


def run_folder(path: Path, record: RunRecord) -> Path:
    """The folder of a run's files, by the path of its record, which may have been renamed."""
    folder = path.with_suffix("")
    return folder if folder.is_dir() or not record.name else path.with_name(record.name)


def sealed(record: RunRecord) -> RunRecord:
    """The record with the checksum of its other fields."""
    return record.model_copy(update={SEAL: seal_of(json.loads(record.model_dump_json()))})


def record_text(record: RunRecord) -> str:
    """The JSON of a record, with its seal if it has one."""
    text = record.model_dump_json(indent=1)
    return f'{text[:-2]},\n "{SEAL}": "{record.sha256}"\n}}' if record.sha256 else text


@contextmanager
def results_written(path: Path, what: str, run: Path) -> Iterator[None]:
    """Raise an OSError inside as UnwrittenResultError, in one sentence.

    Args:
        path: the file that is written inside.
        what: what it holds, for the message.
        run: the folder of the run, which may hold a checkpoint.
    """
    try:
        yield
    except OSError as error:
        raise UnwrittenResultError(
            f"{what} could not be written to '{path}' ({error.strerror or error}): free some space, or make the folder "
            f"writable. 'mamlbench resume {run}' then goes on from the last checkpoint, if there is one."
        ) from error
