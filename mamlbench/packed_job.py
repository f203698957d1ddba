"""What travels between a launcher and a machine that shares no file system with it: plain data that can be pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mamlbench.run_spec import RunSpec


@dataclass(frozen=True)
class PackedJob:
    """A job for a machine that shares no file system with this one: plain data that can be pickled.

    ``mamlbench.pack_job(job)`` makes it, ``mamlbench.perform_packed(packed)`` runs it on the other machine, and
    ``mamlbench.unpack_result(job, packed, result)`` brings the record and its files into the results folder.
    """

    key: str
    """Name of this launch of the cell. It stays the same until its result has come back, also for the next launcher
    on the same results folder: by it a running cell is found again."""
    owner: str
    """random, the same for all cells of a results folder"""
    spec: RunSpec
    """the run"""
    plugins: Mapping[str, bytes] = field(default_factory=dict)
    """content of the single-file plugins, by their file names"""
    data: tuple[tuple[str, str], ...] = ()
    """folders of data as the launching machine names them, used where they exist"""
    resume: str | None = None
    """as that of ``Job``"""
    taken: tuple[str, ...] = ()
    """names that a new run may not get, because the results folder has them"""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """what the run goes on from, by path in the results folder: its checkpoints"""


@dataclass(frozen=True)
class PackedResult:
    """What comes back of a packed job: the record and the files of its run, or why it could not be started."""

    record: bytes = b""
    """its JSON; empty if there is none"""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """model, episodes and, of a run that did not finish, its checkpoints, by path in the results folder"""
    error: BaseException | None = None


class WorkerLink:
    """What connects a cell with its launcher while it runs. This one connects nothing; a launcher may derive its own.

    All methods are called about once a second by the process that called ``mamlbench.perform_packed``.
    """

    def exchange(self, events: Sequence[tuple[str, dict[str, Any]]]) -> bool:
        """Send events on, each as (hook, arguments); return whether the run is to be interrupted."""
        return False

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Store the newest checkpoints where they outlive this machine, by path in the results folder."""

    def kept(self) -> Mapping[str, bytes]:
        """Return what ``keep`` stored last for this cell, by any machine."""
        return {}
