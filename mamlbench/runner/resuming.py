"""Finds the run that another process began, and takes it up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mamlbench.atomic_write import remove_abandoned
from mamlbench.errors import ConfigError
from mamlbench.record import (
    Environment,
    ResultStore,
    RunRecord,
    UnreadableRecordError,
    read_record,
)
from mamlbench.record.claims import Claim, ClaimWatcher, claim_path
from mamlbench.run_spec import RunSpec
from mamlbench.runner.checkpoint_folder import Checkpoint, CheckpointFolder
from mamlbench.runner.checkpoint_slots import SLOTS, has_checkpoints

POLL_SECONDS = 2.0
"""Time between two looks at the heartbeat of a process on another machine."""

LATEST = ""
"""Instead of a run's name: the latest attempt at the spec that can be continued."""


@dataclass
class HeldRun:
    """A run whose claim this process holds."""

    name: str
    attempt: int
    claim: Claim
    checkpoint: Checkpoint | None
    """where to go on from; None: the run begins"""
    notices: list[str] = field(default_factory=list)
    """what was found on the way"""

    @property
    def about(self) -> dict[str, Any]:
        """What stays the same throughout the run; empty if it begins."""
        return self.checkpoint.about if self.checkpoint else {}


def begin_run(store: ResultStore, spec: RunSpec, environment: Environment) -> HeldRun:
    """Reserve a name for a new run and take its claim. Raises ConfigError if the results folder cannot be written."""
    watcher = ClaimWatcher()
    while True:
        name, attempt = store.reserve(spec, environment.fingerprint)
        folder = store.artifacts(name)
        try:
            with store.writable():
                claim = watcher.take(folder)
        except ConfigError:
            with suppress(OSError):
                folder.rmdir()
            raise
        # unless 'mamlbench merge' brought a run of this name at this very moment
        if claim is not None and not store.record_path(name).exists():
            return HeldRun(name, attempt, claim, None)
        if claim is not None:
            claim.release()


class RunFinder:
    """Finds earlier runs of a spec by the same code in the same environment.

    Args:
        store: the results folder.
        spec: the run.
        environment: of this process; only a run with the same fingerprint is continued, bit for bit.
        watcher: takes claims; None: a new one.
        notify: called with a sentence if it takes a while.
    """

    def __init__(
        self,
        store: ResultStore,
        spec: RunSpec,
        environment: Environment,
        *,
        watcher: ClaimWatcher | None = None,
        notify: Callable[[str], object] = str,
    ) -> None:
        self.store, self.spec, self.environment = store, spec, environment
        self.watcher = watcher or ClaimWatcher()
        self.notify = notify

    def take_up(self, name: str = LATEST) -> RunRecord | HeldRun | None:
        """Take up an earlier run.

        Args:
            name: the run's name, or ``LATEST``.

        Returns:
            The record, if a run of the spec has finished; else the run that was taken up; None if there is none.

        Raises:
            HeldError: if another process is working on it.
            ConfigError: if it has a name, and code or environment is another one or there is no checkpoint.
        """
        attempts = self.store.attempts(self.spec, self.environment.fingerprint)
        if name != LATEST:
            attempts = [attempt for attempt in attempts if attempt[0] == name]
        for stem, _ in attempts:
            record = self._record(stem)
            if record is not None and record.status == "finished":
                return record
        for stem, attempt in attempts:
            if self._can_be_continued(stem):
                return self._take(stem, attempt)
        if name != LATEST:
            raise ConfigError(self._why_not(name))
        return None

    def _take(self, name: str, attempt: int) -> RunRecord | HeldRun:
        claim = self._claim(self.store.artifacts(name))
        record = self._record(name)  # again: the last holder may have finished it a moment ago
        if record is not None and record.status == "finished":
            claim.release()
            return record
        remove_abandoned(self.store.artifacts(name))
        checkpoint, notices = CheckpointFolder(self.store.artifacts(name)).read()
        if checkpoint is None and notices:
            notices.append(f"No checkpoint of '{name}' can be read: the run begins again.")
        elif notices:
            notices.append("The one before is used.")
        return HeldRun(name, attempt, claim, checkpoint, [" ".join(notices)] if notices else [])

    def _claim(self, target: Path) -> Claim:
        """Take the claim; whether a holder on another machine lives is only known after a while."""
        watcher = self.watcher
        with self.store.writable():
            return self._claim_or_wait(watcher, target)

    def _claim_or_wait(self, watcher: ClaimWatcher, target: Path) -> Claim:
        end = time.monotonic() + watcher.stale_seconds + 2 * POLL_SECONDS
        claim = watcher.take(target)
        if claim is None and watcher.is_unknown(target):
            holder = watcher.holder(target) or "another process"
            self.notify(f"begun by {holder}: waiting up to {watcher.stale_seconds:.0f} s for a sign of its life.")
        while claim is None and watcher.is_unknown(target) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            claim = watcher.take(target)
        return claim or watcher.take_or_raise(target)

    def _can_be_continued(self, name: str) -> bool:
        """Whether a run has begun, has not finished, and would not diverge again."""
        folder = self.store.artifacts(name)
        if self.store.record_path(name).exists():
            record = self._record(name)
            if record is None or record.status == "diverged":
                return False
            return has_checkpoints(folder)
        return has_checkpoints(folder) or claim_path(folder, 1).exists()  # killed before its first checkpoint

    def _record(self, name: str) -> RunRecord | None:
        """The record of a run of this spec; None if there is none or it cannot be read."""
        try:
            record = read_record(self.store.record_path(name))
        except UnreadableRecordError:
            return None
        return record if record.spec_hash == self.spec.hash else None

    def _why_not(self, name: str) -> str:
        """Why the run called ``name`` cannot be continued."""
        before = _environment_of(self.store, name)
        if before is None or before.fingerprint == self.environment.fingerprint:
            return (
                f"'{name}' cannot be continued: it left no checkpoint, or diverged. Run it again with 'mamlbench run'."
            )
        changes = ", ".join(self.environment.changes_since(before))
        return (
            f"'{name}' cannot be continued exactly: {changes} changed since it began. Go back to how it was, or run it "
            "again with 'mamlbench run'."
        )


def lost_run(store: ResultStore, spec: RunSpec, fingerprint: str) -> tuple[str, int] | None:
    """The name and number of the attempt whose process has ended without a record; None if there is none."""
    watcher = ClaimWatcher()
    for name, attempt in store.attempts(spec, fingerprint):
        folder = store.artifacts(name)
        if has_checkpoints(folder) and not store.record_path(name).exists() and not watcher.is_held(folder):
            return name, attempt
    return None


def read_spec(path: Path) -> tuple[RunSpec, str, Path]:
    """The spec, the name and the results folder of a run, by its record, its folder or the path without a suffix.

    Raises ConfigError if there is no such run.
    """
    path = path if path.name else path.resolve()  # the current folder
    folder = path.with_suffix("") if path.suffix == ".json" and not path.is_dir() else path
    record_path = Path(f"{folder}.json")
    if record_path.is_file():
        record = read_record(record_path)
        return record.spec, folder.name, folder.parent
    for slot in SLOTS:
        try:
            content = json.loads((folder / f"{slot}.json").read_bytes())
            return RunSpec.model_validate(content["about"]["spec"]), folder.name, folder.parent
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            continue
    raise ConfigError(f"There is no run at '{path}': give the path of its record or of its folder.")


def _environment_of(store: ResultStore, name: str) -> Environment | None:
    """The environment in which a run was begun, by its record or a checkpoint."""
    try:
        return read_record(store.record_path(name)).environment
    except UnreadableRecordError:
        checkpoint, _ = CheckpointFolder(store.artifacts(name)).read()
    try:
        return Environment.model_validate(checkpoint and checkpoint.about["environment"])
    except (ValidationError, KeyError):
        return None
