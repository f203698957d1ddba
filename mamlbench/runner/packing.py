"""Packs jobs for machines without a shared file system, and brings their records back."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mamlbench.api import Job, PackedJob, PackedResult
from mamlbench.atomic_write import create_exclusively, write_atomically
from mamlbench.errors import ConfigError, RunFailedError
from mamlbench.record import ResultStore, RunRecord, UnreadableRecordError, read_record
from mamlbench.record.claims import ClaimWatcher
from mamlbench.record.merge_folders import FolderMerge
from mamlbench.runner.checkpoint_slots import SLOTS, has_checkpoints

LAUNCHED = ".launched"
"""Folder in the results folder with one file for each cell that was launched and has not come back."""


def pack_job(job: Job) -> PackedJob:
    """Pack a job for another machine: the spec, the plugin files, and the checkpoints that it goes on from.

    A file in the results folder remembers that the job is out, until ``unpack_result`` has brought its result: packed
    again before, it has the same key. Raises ConfigError if the results folder cannot be written.
    """
    store = ResultStore(job.folders.results)
    with store.writable():
        folder = store.folder / LAUNCHED
        folder.mkdir(parents=True, exist_ok=True)
        ticket = folder / job.spec.hash
        if job.resume is None:  # what an earlier launch of the same spec returns is not wanted
            ticket.unlink(missing_ok=True)
        token, owner = _token(ticket), _token(folder / "owner")
    taken = {path.stem for path in store.paths_of(job.spec)}
    return PackedJob(
        key=f"mamlbench-{job.spec.hash[:12]}-{token}",
        owner=owner,
        spec=job.spec,
        plugins=_plugin_files(job.plugins),
        data=tuple((reason, str(path)) for reason, path in job.folders.data),
        resume=job.resume,
        taken=tuple(sorted(taken)),
        files={} if job.resume is None else _unfinished_runs(store, job),
    )


def is_launched(job: Job) -> bool:
    """Whether a job was packed and its result has not come back."""
    return (job.folders.results / LAUNCHED / job.spec.hash).exists()


def unpack_result(job: Job, packed: PackedJob, result: PackedResult) -> RunRecord | BaseException:
    """Bring a result into the results folder: return its record, under the name that it has there, or its error.

    A run that was continued gets its place back; the name of another one changes if it is taken meanwhile.
    """
    ended: RunRecord | BaseException
    if result.error is not None:
        ended = result.error
    else:
        with tempfile.TemporaryDirectory(prefix="mamlbench-") as temporary:
            source = Path(temporary) / "results"
            write_files(source, result.files)
            name = _name_of(result)
            write_atomically(source / f"{name}.json", result.record)
            ended = _bring(ResultStore(job.folders.results), source, name, packed)
    (job.folders.results / LAUNCHED / job.spec.hash).unlink(missing_ok=True)
    with suppress(OSError):  # others are out
        _remove_if_nothing_is_out(job.folders.results / LAUNCHED)
    return ended


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their relative paths. Raises ConfigError for a path that leads out of the folder."""
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ConfigError(f"A worker sent a file that lies outside its run: '{name}'.")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / path, content)


def run_files(folder: Path, names: Iterable[str] | None = None) -> dict[str, bytes]:
    """Read the files of a run's folder by their paths in the results folder; None: all but hidden ones."""
    files = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not path.is_symlink() and not hidden and (names is None or path.name in names):
            with suppress(FileNotFoundError):  # a checkpoint is replaced
                files[str(PurePosixPath(folder.name, *relative.parts))] = path.read_bytes()
    return files


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    """Read the checkpoints in a run's folder."""
    return run_files(folder, [f"{slot}{suffix}" for slot in SLOTS for suffix in (".json", ".safetensors")])


def newest_number(files: Mapping[str, bytes]) -> int:
    """The number of the newest checkpoint among files; 0 if there is none."""
    numbers = [0]
    for name, content in files.items():
        if name.endswith(".json") and PurePosixPath(name).stem in SLOTS:
            with suppress(ValueError, KeyError, TypeError):
                numbers.append(int(json.loads(content)["number"]))
    return max(numbers)


def _token(path: Path) -> str:
    """Read a random token, or write a new one; of several processes all get the same."""
    for _ in range(10):
        with suppress(FileNotFoundError):
            return path.read_text()
        descriptor = create_exclusively(path, secrets.token_hex(8).encode())
        if descriptor is not None:
            os.close(descriptor)
    raise ConfigError(
        f"'{path}' is written and removed again and again: use one results folder for one suite at a time."
    )


def _plugin_files(paths: Iterable[Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for path in paths:
        content = path.read_bytes()
        if files.setdefault(path.name, content) != content:
            raise ConfigError(f"Two plugin files are called '{path.name}': rename one, to send both to other machines.")
    return files


def _unfinished_runs(store: ResultStore, job: Job) -> dict[str, bytes]:
    """The checkpoints of the runs of this spec that can be continued, in any environment."""
    files: dict[str, bytes] = {}
    start = f"{store.prefix(job.spec)}{job.spec.seed}-{job.spec.hash[:8]}-"
    for folder in sorted(store.folder.glob(f"{start}*")):
        if job.resume not in ("", folder.name) or not folder.is_dir() or not has_checkpoints(folder):
            continue
        if _status(store, folder.name) not in ("finished", "diverged"):
            files |= checkpoint_files(folder)
    return files


def _status(store: ResultStore, name: str) -> str:
    try:
        return read_record(store.record_path(name)).status
    except UnreadableRecordError:
        return ""


def _name_of(result: PackedResult) -> str:
    name = str(json.loads(result.record).get("name", ""))
    if not name or PurePosixPath(name).name != name or name.startswith("."):
        raise RunFailedError("a worker returned a record without a valid name")
    return name


def _bring(store: ResultStore, source: Path, name: str, packed: PackedJob) -> RunRecord:
    continued = any(PurePosixPath(path).parts[0] == name for path in packed.files)
    if continued and _status(store, name) != "finished":
        record = read_record(source / f"{name}.json")
        with store.writable(), ClaimWatcher().take_or_raise(store.artifacts(name)):
            files = run_files(source / name) if (source / name).is_dir() else {}
            write_files(store.folder, files)
            for path in sorted(store.artifacts(name).iterdir()):
                if path.stem in SLOTS and f"{name}/{path.name}" not in files:
                    path.unlink()
            store.write(name, record)
        return record
    (brought,) = FolderMerge([source], store.folder).merge()
    if brought.target is None:
        raise RunFailedError(f"a worker's record was not accepted: {brought.reason}")
    return read_record(brought.target)


def _remove_if_nothing_is_out(folder: Path) -> None:
    if {path.name for path in folder.iterdir()} <= {"owner"}:
        (folder / "owner").unlink(missing_ok=True)
        folder.rmdir()
