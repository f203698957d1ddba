"""Claims on runs in a folder that several processes or machines share: one of them holds a run at a time.

A claim on ``results/NAME`` is the file ``results/.NAME.claim-1``. Only one process can create it. If its holder dies,
``.NAME.claim-2`` is created in the same way and so on: the highest number holds. No file is ever replaced, so of
several processes that take over from a dead one, exactly one succeeds.

The holder writes a growing number into its file every few seconds. Another process decides by its own monotonic clock
how long that number has stood still; clocks of different machines are never compared. A holder on the same machine is
dead as soon as its process is.

The file system has to create files and hard links exclusively, and to show what another machine wrote when the file
is opened afterwards: local disks, NFS version 3 or later, Lustre and CephFS do. Without hard links ``O_EXCL`` is used.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from mamlbench.atomic_write import create_exclusively
from mamlbench.errors import HeldError, LostClaimError
from mamlbench.process_identity import machine as _machine
from mamlbench.process_identity import process_start as _process_start

BEAT_SECONDS = 5.0
"""Time between two heartbeats."""
STALE_SECONDS = 60.0
"""A holder on another machine whose heartbeat stands still for so long has lost its claim."""

_COUNTER = 20
"""Digits of the heartbeat, at the beginning of the file."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a claim."""

    host: str
    """name of the machine, for messages"""
    machine: str
    """identifies the running machine, or container, in which ``pid`` counts"""
    pid: int
    started: str
    """when the process started, since numbers of processes are used again"""
    token: str
    """random, different for every claim"""

    @classmethod
    def this_process(cls) -> Self:
        """Describe this process, with a new token."""
        pid = os.getpid()
        return cls(platform.node(), _machine(), pid, _process_start(pid), secrets.token_hex(8))

    @property
    def is_dead(self) -> bool:
        """Whether the holder is known to have ended; of another machine's process nothing is known."""
        return self.machine == _machine() and _process_start(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Claim:
    """A claim held by this process, from ``ClaimWatcher.take``; in ``with``, it is released at the end.

    A thread writes the heartbeat. A process that is suspended does not, and may lose its claim: call ``check`` before
    writing anything that another process could write too.
    """

    def __init__(self, target: Path, number: int, holder: Holder, descriptor: int, beat_seconds: float) -> None:
        self.target = target
        self.holder = holder
        self._number = number
        self._descriptor = descriptor
        self._released = threading.Event()
        threading.Thread(target=self._beat, args=(beat_seconds,), name="mamlbench-claim", daemon=True).start()

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken over, or the claim was released."""
        if self._released.is_set() or os.getpid() != self.holder.pid:  # a forked process holds nothing
            return True
        content = _read(claim_path(self.target, self._number))
        return _holder(content) != self.holder or claim_path(self.target, self._number + 1).exists()

    def check(self) -> None:
        """Raise LostClaimError if another process has taken over."""
        if self.is_lost:
            raise LostClaimError(
                f"Another process took over '{self.target.name}' while this one ({self.holder}) was suspended or could "
                "not write its heartbeat: the run goes on there, and this process leaves it alone."
            )

    def release(self) -> None:
        """Give up the claim, if it is still held, and remove its files, those of dead holders first."""
        lost = self.is_lost
        if self._released.is_set() or os.getpid() != self.holder.pid:
            return
        self._released.set()  # the thread closes the file: it may be flushing it, which can take a while
        if not lost:
            for number in range(1, self._number + 1):
                with suppress(OSError):  # a file that stays counts as a dead process's
                    claim_path(self.target, number).unlink(missing_ok=True)

    def _beat(self, seconds: float) -> None:
        count = 0
        while not self._released.wait(seconds if count else min(seconds, 1.0)):
            count += 1
            # the next heartbeat may succeed; if none does, the claim is lost and `check` sees it
            with suppress(OSError):
                os.pwrite(self._descriptor, f"{count:0{_COUNTER}d}".encode(), 0)
                os.fsync(self._descriptor)  # a network file system shows other machines what was flushed
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class ClaimWatcher:
    """Takes claims, and remembers when the heartbeats of other processes last changed.

    Args:
        stale_seconds: how long the heartbeat of a process on another machine may stand still.
        beat_seconds: time between two heartbeats of the claims that are taken.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        stale_seconds: float = STALE_SECONDS,
        beat_seconds: float = BEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stale_seconds = stale_seconds
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._changes: dict[Path, tuple[bytes, float]] = {}
        """content of claim files of others, and when it was first seen"""
        self._alive: set[Path] = set()
        """claim files whose heartbeat has been seen to change"""

    def take(self, target: Path) -> Claim | None:
        """Take the claim on a file or folder, which need not exist; None if a living process holds it.

        Whether a process on another machine lives is known after some calls over ``stale_seconds``. The target may have
        been finished by the last holder a moment ago: look at it after taking the claim.

        Raises OSError if its folder cannot be written.
        """
        number, content = _latest(target)
        if content is not None and not self._is_stale(claim_path(target, number), content):
            return None
        holder = Holder.this_process()
        text = f"{0:0{_COUNTER}d}\n{json.dumps(asdict(holder))}\n"
        descriptor = create_exclusively(claim_path(target, number + 1), text.encode())
        if descriptor is None:  # another process was faster
            return None
        return Claim(target, number + 1, holder, descriptor, self._beat_seconds)

    def take_or_raise(self, target: Path) -> Claim:
        """Take the claim as ``take`` does. Raises HeldError if a process that may be alive holds it."""
        claim = self.take(target)
        if claim is None:
            by = self.holder(target) or "another process"
            raise HeldError(f"'{target.name}' is being run by {by}: wait for it, or end that process first.")
        return claim

    def holder(self, target: Path) -> Holder | None:
        """Return the living process that holds the claim on ``target``; None if there is none or it is not known."""
        number, content = _latest(target)
        if content is None or self._is_stale(claim_path(target, number), content):
            return None
        return _holder(content)

    def is_held(self, target: Path) -> bool:
        """Whether a process that may be alive holds the claim on ``target``."""
        number, content = _latest(target)
        return content is not None and not self._is_stale(claim_path(target, number), content)

    def is_unknown(self, target: Path) -> bool:
        """Whether a process holds the claim and it is not known yet if it lives."""
        number, content = _latest(target)
        holder, path = _holder(content), claim_path(target, number)
        here = holder is not None and holder.machine == _machine()
        return content is not None and not here and not self._is_stale(path, content) and path not in self._alive

    def _is_stale(self, path: Path, content: bytes) -> bool:
        """Whether the holder has ended, or its heartbeat has stood still for too long under the eyes of this object."""
        holder = _holder(content)
        if holder is not None and holder.is_dead:
            return True
        now = self._clock()
        known, since = self._changes.get(path, (None, now))
        if known != content:
            if known is not None:
                self._alive.add(path)
            self._changes[path] = content, now
            return False
        return now - since >= self.stale_seconds


def claim_path(target: Path, number: int) -> Path:
    """The file of the claim with this number; 1 is the first holder, 2 took over from it."""
    return target.with_name(f".{target.name}.claim-{number}")


def _latest(target: Path) -> tuple[int, bytes | None]:
    """The highest number of a claim, and the content of its file; 0 and None if there is no claim."""
    number, content = 0, None
    while (following := _read(claim_path(target, number + 1))) is not None:
        number, content = number + 1, following
    return number, content


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _holder(content: bytes | None) -> Holder | None:
    """The holder that a claim file names; None if the file was not written completely."""
    try:
        return Holder(**json.loads((content or b"")[_COUNTER:]))
    except (ValueError, TypeError):
        return None
