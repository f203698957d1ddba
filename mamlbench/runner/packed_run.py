"""Runs a packed job on the machine that it was sent to, in a process of its own, and packs what the run leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Self

from mamlbench.api import PackedJob, PackedResult, WorkerLink
from mamlbench.errors import HeldError
from mamlbench.runner.checkpoint_slots import has_checkpoints
from mamlbench.runner.packing import checkpoint_files, newest_number, run_files, write_files
from mamlbench.user_config import cache_folder, data_folders, find_user_config

BEAT_SECONDS = 0.5
"""Time between two exchanges with the launcher."""
GRACE_SECONDS = 30.0
"""Time for an interrupted run to write its record."""
HELD_SECONDS = 90.0
"""Time for the process of a lost worker on this machine to end."""
OLD_SECONDS = 7 * 24 * 3600
"""Age at which what an earlier cell left on this machine is removed."""
CELL_MODULE = "mamlbench.runner.packed_process"
"""Module that the process of a cell runs."""


class LostCellError(RuntimeError):
    """The cell's process was killed, or interrupted by its machine: run it again, here or elsewhere."""


def perform_packed(
    packed: PackedJob,
    *,
    link: WorkerLink | None = None,
    scratch: Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    runs_at_once: int = 1,
) -> PackedResult:
    """Run a packed job in a process of its own, and pack its record and its files.

    What the run writes lies in ``scratch/KEY`` until it is a week old: a worker that is started again for the same job,
    on this machine or on one with the same folder, goes on from its last checkpoint.

    Args:
        packed: the job.
        link: passes events, checkpoints and interrupts on; None: nothing is.
        scratch: where the run writes; None: in the cache folder of this machine.
        data_dir: folder of data on this machine; None: those that the job names, then those of this machine's settings.
        threads: of torch; None: as many as the environment sets.
        runs_at_once: as of ``perform``.

    Raises LostCellError if the process was killed or interrupted, but not by the launcher: the job can be run again.
    """
    link = link or WorkerLink()
    folder = (scratch or cache_folder() / "launched").absolute() / packed.key
    _remove_old(folder.parent)
    results = folder / "results"
    _lay_out(packed, folder, link.kept())
    orders: dict[str, Any] = {
        "spec": packed.spec,
        "results": results,
        "data": _data(packed, data_dir),
        "cache": cache_folder(),
        "plugins": tuple(folder / "plugins" / name for name in packed.plugins),
        "resume": packed.resume if packed.resume is not None else "",
        "runs_at_once": runs_at_once,
    }
    end = time.monotonic() + HELD_SECONDS
    while True:
        with _CellProcess(folder, orders, threads) as process:
            result = process.follow(link, results)
        if not isinstance(result.error, HeldError) or time.monotonic() > end:
            return result
        time.sleep(1.0)  # the process of a worker that died on this machine is ending


class _CellProcess:
    """A process that runs one cell, and ends if this one does."""

    def __init__(self, folder: Path, orders: Mapping[str, Any], threads: int | None) -> None:
        self.connection, theirs = Pipe()
        environment = dict(os.environ)
        if threads is not None:
            environment["OMP_NUM_THREADS"] = str(threads)
        self.process = subprocess.Popen(
            [sys.executable, "-m", CELL_MODULE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self.connection.send(dict(orders))
        self.ordered = False

    def follow(self, link: WorkerLink, results: Path) -> PackedResult:
        """Exchange with the launcher until the run has ended."""
        sent = -1
        while True:
            events, end = self._receive()
            if link.exchange(events) and not self.ordered:
                self.interrupt()
            checkpoints = _newest_checkpoints(results)
            if newest_number(checkpoints) > sent and checkpoints:
                link.keep(checkpoints)
                sent = newest_number(checkpoints)
            if end is not None:
                return self._packed(end, results, link)

    def interrupt(self) -> None:
        """Interrupt the run."""
        self.ordered = True
        with suppress(OSError):
            self.connection.send("interrupt")

    def _receive(self) -> tuple[list[tuple[str, dict[str, Any]]], Any]:
        events: list[tuple[str, dict[str, Any]]] = []
        end = time.monotonic() + BEAT_SECONDS
        with suppress(EOFError, OSError):
            while self.connection.poll(max(0.0, end - time.monotonic())):
                kind, content = self.connection.recv()
                if kind == "event":
                    events.append(content)
                else:
                    self.process.wait()
                    return events, (kind, content)
            return events, None
        code = self.process.wait()
        raise LostCellError(f"the run's process ended without a result (exit code {code})")

    def _packed(self, end: tuple[str, Any], results: Path, link: WorkerLink) -> PackedResult:
        kind, content = end
        if kind == "error":
            if isinstance(content, KeyboardInterrupt) and not self.ordered:
                raise LostCellError("the run was interrupted on its machine before it began")
            return PackedResult(error=content)
        name, status = content
        files = run_files(results / name) if (results / name).is_dir() else {}
        if status == "interrupted" and not self.ordered:
            link.keep(_newest_checkpoints(results))
            raise LostCellError("the run was interrupted on its machine")
        return PackedResult((results / f"{name}.json").read_bytes(), files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:  # this process is interrupted, or the launcher cannot be reached
            self.interrupt()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE_SECONDS)
            self.process.kill()
            self.process.wait()
        self.connection.close()


def _lay_out(packed: PackedJob, folder: Path, checkpoints: Mapping[str, bytes]) -> None:
    """Write plugins and, if they are newer than what this machine has, the checkpoints to go on from."""
    results = folder / "results"
    results.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    write_files(folder / "plugins", packed.plugins)
    for files in (packed.files, checkpoints):
        for name in sorted({Path(path).parts[0] for path in files}):
            one_run = {path: content for path, content in files.items() if Path(path).parts[0] == name}
            here = checkpoint_files(results / name) if (results / name).is_dir() else {}
            if newest_number(one_run) > newest_number(here):
                write_files(results, one_run)
    for name in packed.taken:
        (results / name).mkdir(exist_ok=True)


def _data(packed: PackedJob, data_dir: Path | None) -> tuple[tuple[str, Path], ...]:
    named = [(reason, Path(path)) for reason, path in packed.data if Path(path).is_dir()]
    if data_dir is not None:
        return (("launcher.data_dir", data_dir), *named)
    return (*named, *data_folders(None, find_user_config(Path.cwd())))


def _newest_checkpoints(results: Path) -> dict[str, bytes]:
    """The checkpoints of the run that was written to last."""
    runs = [path for path in results.iterdir() if path.is_dir() and has_checkpoints(path)]
    if not runs:
        return {}
    return checkpoint_files(max(runs, key=lambda path: path.stat().st_mtime_ns))


def _remove_old(scratch: Path) -> None:
    with suppress(FileNotFoundError):
        for folder in scratch.iterdir():
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > OLD_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
