"""Unites folders of records: nothing is overwritten, and what was interrupted is finished by the next merge.

A record is brought with the files of its run, and last of all: it is never there without them. While that is done its
name in the other folder is claimed, as by a run, so that no run and no other merge works on it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, permutations
from pathlib import Path
from typing import Literal

from mamlbench.atomic_write import remove_abandoned, write_new_file
from mamlbench.errors import ConfigError, HeldError
from mamlbench.interrupts import check_interrupt
from mamlbench.record.claims import ClaimWatcher, claim_path
from mamlbench.record.file_hashes import UNSEALED, record_text, run_folder, seal_of, sealed, seals_of, state_of_file
from mamlbench.record.result_store import ResultStore, UnreadableRecordError, read_record
from mamlbench.record.run_record import RunRecord

POLL_SECONDS = 1.0
"""Time between two looks at the heartbeat of a process on another machine."""

MergeState = Literal["copied", "renamed", "there already", "left out"]


@dataclass(frozen=True)
class MergedRecord:
    """What became of one record."""

    source: Path
    state: MergeState
    target: Path | None = None
    """the record in the other folder; None if it was left out"""
    reason: str = ""
    """why it was left out or renamed, in words"""


@dataclass(frozen=True)
class _Run:
    """A record that is to be brought, under one of the names that it may get."""

    text: bytes
    """of the record"""
    files: dict[str, Path]
    """the files of its run, by their paths in its folder"""

    @property
    def digest(self) -> str:
        """SHA-256 of what the record says."""
        return seal_of(json.loads(self.text))


class FolderMerge:
    """Brings records into one folder.

    Args:
        sources: folders of records, at any depth; their inner folders are those of the result.
        into: the folder that gets them, which need not exist; it may be one of the sources.
        dry_run: whether to find out what would be done, and change nothing.
        watcher: takes claims; None: a new one.
        clock: seconds of a clock that never jumps.

    Raises ConfigError if a source is no folder, or one of the folders lies in another.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        into: Path,
        *,
        dry_run: bool = False,
        watcher: ClaimWatcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.into, self.dry_run = into, dry_run
        missing = [folder for folder in sources if not folder.is_dir()]
        if missing:
            raise ConfigError(*(f"'{folder}' is no folder: name folders of records." for folder in missing))
        others = {folder.resolve(): folder for folder in sources if folder.resolve() != into.resolve()}
        self.sources = list(others.values())
        for inner, outer in permutations((into, *self.sources), 2):
            if inner.resolve().is_relative_to(outer.resolve()):
                raise ConfigError(f"'{inner}' lies in '{outer}': name folders beside each other.")
        self._watcher, self._clock = watcher or ClaimWatcher(), clock
        self._cleaned: set[Path] = set()
        self._planned: dict[Path, str] = {}
        """records that a dry run would have brought, by their digests"""

    def paths(self) -> list[tuple[Path, Path]]:
        """Every record that is to be brought, each after the source that it lies in."""
        return [(folder, path) for folder in self.sources for path in ResultStore(folder).paths()]

    def unrecorded(self) -> list[Path]:
        """Folders of runs that were killed and have no record yet: they stay where they are."""
        checkpoints = (path for folder in self.sources for path in sorted(folder.rglob("checkpoint-[12].json")))
        runs = dict.fromkeys(path.parent for path in checkpoints)
        return [run for run in runs if not run.with_name(f"{run.name}.json").exists()]

    def merge(self) -> Iterator[MergedRecord]:
        """Bring every record, and yield what became of it.

        Those that seem to be worked on come last, since whether a process on another machine lives is known after a
        while. Raises ConfigError if the folder cannot be written; what was brought before stays.
        """
        held = []
        for folder, path in self.paths():
            check_interrupt()
            try:
                yield self._merge(folder, path)
            except UnreadableRecordError as error:
                yield MergedRecord(path, "left out", reason=str(error))
            except HeldError:
                held.append((folder, path))
        yield from self._merge_held(held)

    def _merge_held(self, held: Sequence[tuple[Path, Path]]) -> Iterator[MergedRecord]:
        end = self._clock() + self._watcher.stale_seconds + 2 * POLL_SECONDS
        for folder, path in held:
            places = [path.with_suffix(""), (self.into / path.relative_to(folder)).with_suffix("")]
            while any(map(self._watcher.is_unknown, places)) and self._clock() < end:
                check_interrupt()
                time.sleep(POLL_SECONDS)
            try:
                yield self._merge(folder, path)
            except (UnreadableRecordError, HeldError) as error:
                yield MergedRecord(path, "left out", reason=str(error))

    def _merge(self, folder: Path, path: Path) -> MergedRecord:
        record = self._sound(path)
        target_folder, run = self.into / path.parent.relative_to(folder), run_folder(path, record)
        files = _files(run)
        for name, attempt in _names(path.stem, record.attempt):
            is_same = name == path.stem and (name == run.name or not files)
            text = _content(path) if is_same else record_text(_renamed(record, name, attempt)).encode()
            target = target_folder / f"{name}.json"
            state = self._bring(_Run(text, files), target)
            if state == "copied" and name != path.stem:
                return MergedRecord(path, "renamed", target, f"another record has the name '{path.stem}'")
            if state != "taken":
                return MergedRecord(path, state, target)
        raise AssertionError("there is no end of names")

    def _sound(self, path: Path) -> RunRecord:
        """Read a record. Raises UnreadableRecordError if it or a file of it has changed, HeldError if it still may."""
        record = read_record(path)
        recorded, actual = seals_of(path)
        if recorded not in ("", actual):
            raise UnreadableRecordError(f"'{path}' was changed after it was written: its SHA-256 differs.")
        folder = run_folder(path, record)
        if record.status != "finished" and self._watcher.is_held(folder):
            raise HeldError(f"'{path}' is of a run that is being worked on: merge again when it has ended.")
        for name, expected in record.files.items():
            state = state_of_file(folder / Path(name).name, expected)
            if state not in ("as recorded", "missing"):
                raise UnreadableRecordError(f"'{folder / name}', a file of '{path}', is {state} since it was written.")
        return record

    def _bring(self, run: _Run, target: Path) -> Literal["copied", "there already", "taken"]:
        """Copy a run to a name, unless another one has it."""
        there = self._planned.get(target) or _digest(target)
        if there == run.digest:
            if not self.dry_run:
                with ResultStore(self.into).writable():
                    self._complete(run, target)
            return "there already"
        if there or target.exists() or not _is_part(target.with_suffix(""), run.files):
            return "taken"
        if self.dry_run:
            self._planned[target] = run.digest
            return "copied"
        with ResultStore(self.into).writable():
            target.parent.mkdir(parents=True, exist_ok=True)
            self._clean(target.parent)
            with self._watcher.take_or_raise(target.with_suffix("")):
                if _copy(run, target):
                    return "copied"
        return self._bring(run, target)  # another merge has brought a record there meanwhile, perhaps this one

    def _complete(self, run: _Run, target: Path) -> None:
        """Bring files that the same record lacks there, but no checkpoints: a run may be writing them."""
        files = {name: path for name, path in run.files.items() if not name.startswith(UNSEALED)}
        _copy_files(files, target.with_suffix(""), [])
        self._clean(target.parent)
        if claim_path(target.with_suffix(""), 1).exists():
            claim = self._watcher.take(target.with_suffix(""))
            if claim is not None:  # a merge was killed when it had brought the record
                claim.release()

    def _clean(self, folder: Path) -> None:
        """Remove what killed processes left in a folder, once."""
        if folder not in self._cleaned:
            self._cleaned.add(folder)
            remove_abandoned(folder)


def _copy(run: _Run, target: Path) -> bool:
    """Copy the files of a run and then its record; False if it is there meanwhile. After an error nothing is left."""
    folder, created = target.with_suffix(""), list[Path]()
    try:
        _copy_files(run.files, folder, created)
        if write_new_file(target, run.text):
            return True
    except BaseException:
        _undo(folder, created)
        raise
    _undo(folder, created)
    return False


def _copy_files(files: dict[str, Path], folder: Path, created: list[Path]) -> None:
    """Copy files that are not there, and add their paths to ``created``."""
    for name, source in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(place.parent, place.name)
        if not place.exists() and write_new_file(place, _content(source)):
            created.append(place)


def _undo(folder: Path, created: list[Path]) -> None:
    with suppress(OSError):
        for path in created:
            path.unlink(missing_ok=True)
        folder.rmdir()


def _names(stem: str, attempt: int) -> Iterator[tuple[str, int]]:
    """The name of a record, then those that it may get, each with the number of the attempt that it stands for."""
    yield stem, attempt
    if stem.endswith(f"-{attempt}"):
        yield from ((f"{stem.removesuffix(str(attempt))}{number}", number) for number in count(attempt + 1))
    yield from ((f"{stem}-{number}", attempt) for number in count(2))


def _renamed(record: RunRecord, name: str, attempt: int) -> RunRecord:
    """The record under another name, as if its run had had it."""
    before = record.name
    episodes = record.episodes
    if episodes is not None:
        episodes = episodes.model_copy(update={"file": f"{name}/{Path(episodes.file).name}"})
    changes = {
        "name": name,
        "attempt": attempt,
        "model": record.model and f"{name}/{Path(record.model).name}",
        "checkpoint": record.checkpoint and f"{name}/{Path(record.checkpoint).name}",
        "episodes": episodes,
        "notices": [*record.notices, f"Its name was '{before}' before 'mamlbench merge'."],
    }
    changed = record.model_copy(update=changes)
    return sealed(changed) if record.sha256 else changed


def _files(folder: Path) -> dict[str, Path]:
    """The files of a run; hidden ones are those of processes that write, links may lead anywhere."""
    if not folder.is_dir():
        return {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(folder): path for path in paths}
    return {str(name): path for name, path in names.items() if not any(part.startswith(".") for part in name.parts)}


def _is_part(folder: Path, files: dict[str, Path]) -> bool:
    """Whether a folder has no files but some of these: then a merge that was interrupted may have made it."""
    return all(name in files and _content(path) == _content(files[name]) for name, path in _files(folder).items())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableRecordError(f"'{path}' cannot be read: {error.strerror}.") from error


def _digest(path: Path) -> str:
    """SHA-256 of what a record says; '' if there is none, or no JSON."""
    try:
        return seals_of(path)[1]
    except (OSError, ValueError):
        return ""
