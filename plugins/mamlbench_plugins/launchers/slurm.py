"""Launcher on Slurm, through submitit: cells are jobs of the queue. Its folder has to be shared by all machines.

Jobs outlive the process that launches: it finds them again by the files ``KEY/job.json``. A job that is preempted or
reaches its time limit is queued again by submitit, and goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mamlbench import perform_packed
from mamlbench.api import ConfigError, Job, PackedJob, PackedResult, WorkerLink
from mamlbench_plugins.launchers.cluster import Cluster, ClusterLauncher, ClusterOptions, Event, gpus_of, lost, require

FOLDER = ".slurm"
"""Ends the name of the folder beside the results folder, unless the option ``folder`` names another."""
INTERRUPT = "interrupt"
EVENTS = "events"


class SlurmOptions(ClusterOptions):
    """Which queue, and for how long."""

    cluster: Literal["slurm", "local"] = Field("slurm", description="slurm, or local: processes of this machine")
    folder: Path | None = Field(None, description="shared folder of jobs and unfinished runs; none: beside the results")
    partition: str = Field("", description="partition of the queue; '': the default one")
    minutes: int = Field(240, ge=1, description="time limit of a job; one that reaches it is queued again")
    account: str = Field("", description="account that is charged; '': the default one")


class Slurm(ClusterLauncher):
    """Cells are jobs of a Slurm queue, queued again when they are preempted."""

    Options = SlurmOptions

    @contextmanager
    def connect(self, packed: Sequence[PackedJob], jobs: Sequence[Job]) -> Iterator[Cluster]:
        require("submitit", "slurm")
        options: SlurmOptions = self.options
        results = jobs[0].folders.results.absolute()
        # beside the results folder: records of unfinished business inside it would count as finished cells
        folder = (options.folder or results.with_name(f".{results.name}{FOLDER}")).absolute()
        make_private(folder)
        try:
            most = min(options.max_parallel or len(jobs), len(jobs)) if options.cluster == "local" else 1
            yield _Queue(folder, options, packed, max(most, options.runs_at_once))
        finally:
            with suppress(OSError):  # unless jobs are left
                folder.rmdir()


def make_private(folder: Path) -> None:
    """Make a folder that only this user can write to: pickles are read from it, and a pickle can run any code.

    Raises ConfigError if it is there already and others can write to it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder.stat()
    if state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"Others can write to '{folder}', and results are read from there as pickles, which can run any code: "
            "chmod go-w it, or name another one by -o launcher.folder=FOLDER."
        )


class _Queue:
    """Jobs of submitit, each with a folder of its own for its files, messages and unfinished run."""

    def __init__(self, folder: Path, options: SlurmOptions, packed: Sequence[PackedJob], runs_at_once: int) -> None:
        self.packed = {one.key: one for one in packed}
        self.folder, self.options, self.runs_at_once = folder, options, runs_at_once
        self.jobs: dict[str, Any] = {}
        self.read: dict[str, int] = {}
        """bytes of each file of events that were read"""
        self.tries: dict[str, int] = {}

    def submit(self, packed: PackedJob) -> None:
        import submitit

        options, folder = self.options, self.folder / packed.key
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(folder / "jobs", cluster=options.cluster)
        gpus = gpus_of(packed, options)
        executor.update_parameters(
            name=packed.key,
            timeout_min=options.minutes,
            cpus_per_task=options.cpus,
            **({"gpus_per_node": -int(-gpus // 1)} if gpus else {}),
            **({"mem_gb": options.memory_gb} if options.memory_gb else {}),
            **({"slurm_partition": options.partition} if options.partition else {}),
            **({"slurm_account": options.account} if options.account else {}),
        )
        settings = {
            "scratch": folder / "runs",
            "data_dir": options.data_dir,
            "threads": options.cpus,
            "runs_at_once": self.runs_at_once,
        }
        job = executor.submit(SlurmCell(packed, settings, folder))
        self.jobs[packed.key] = job
        (folder / "job.json").write_text(json.dumps({"id": job.job_id, "cluster": options.cluster}))

    def running(self, keys: Sequence[str]) -> set[str]:
        import submitit

        kinds = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
        for key in keys:
            with suppress(OSError, ValueError):
                known = json.loads((self.folder / key / "job.json").read_text())
                job = kinds[known["cluster"]](self.folder / key / "jobs", known["id"])
                if not self._has_died(job):
                    self.jobs[key] = job
        return set(self.jobs) & set(keys)

    def collect(self, keys: Sequence[str]) -> tuple[list[Event], dict[str, PackedResult]]:
        events = [event for key in keys for event in self._events(key)]
        return events, {key: result for key in keys if (result := self._result(key)) is not None}

    def interrupt(self, keys: Sequence[str]) -> None:
        for key in keys:
            (self.folder / key / INTERRUPT).touch()

    def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            job = self.jobs.pop(key, None)
            if job is not None and not job.paths.result_pickle.exists():
                with suppress(Exception):  # it has ended meanwhile
                    job.cancel()
            shutil.rmtree(self.folder / key, ignore_errors=True)

    def _result(self, key: str) -> PackedResult | None:
        job = self.jobs[key]
        if job.paths.result_pickle.exists():
            # Unsafe for outside data; submitit's format, in a folder that only this user can write to (make_private).
            outcome, value = pickle.loads(job.paths.result_pickle.read_bytes())
            if outcome == "success":
                result: PackedResult = value
                return result
            return self._again(key, str(value).strip().splitlines()[-1])
        return self._again(key, f"the state of its job is {job.state}") if self._has_died(job) else None

    def _again(self, key: str, why: str) -> PackedResult | None:
        """Submit a cell again whose job was lost, as often as is allowed."""
        self.tries[key] = self.tries.get(key, 0) + 1
        if self.tries[key] > self.options.retries or (self.folder / key / INTERRUPT).exists():
            return lost(why)
        self.submit(self.packed[key])
        return None

    def _has_died(self, job: Any) -> bool:
        """Whether a job has ended without a result: its machine was lost, or somebody cancelled it."""
        if type(job).__name__ == "LocalJob":
            return not _is_alive(int(job.job_id)) and not job.paths.result_pickle.exists()
        return bool(job.done()) and not job.paths.result_pickle.exists()

    def _events(self, key: str) -> Iterator[Event]:
        with suppress(FileNotFoundError), (self.folder / key / EVENTS).open("rb") as file:
            file.seek(self.read.get(key, 0))
            with suppress(EOFError, pickle.UnpicklingError):  # the last ones are being written
                while True:
                    events = pickle.load(file)  # of this user's own jobs, in the folder of make_private
                    self.read[key] = file.tell()
                    yield from events


class SlurmCell:
    """What submitit runs; it can be pickled."""

    def __init__(self, packed: PackedJob, settings: Mapping[str, Any], folder: Path) -> None:
        self.packed, self.settings, self.folder = packed, settings, folder

    def __call__(self) -> PackedResult:
        """Run the cell, or go on with it."""
        return perform_packed(self.packed, link=_SlurmLink(self.folder), **self.settings)

    def checkpoint(self) -> Any:
        """Queue the same again: called when the job is preempted, before its process is interrupted."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _SlurmLink(WorkerLink):
    """Events and interrupts are files in the job's folder; checkpoints are there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exchange(self, events: Sequence[Event]) -> bool:
        if events:
            with (self.folder / EVENTS).open("ab") as file:
                file.write(pickle.dumps(list(events)))
        return (self.folder / INTERRUPT).exists()


def _is_alive(pid: int) -> bool:
    """Whether a process runs, and is no process that has ended and was not waited for."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
