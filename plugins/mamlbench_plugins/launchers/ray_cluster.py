"""Launcher on Ray: cells are tasks of a Ray cluster, at an address or started on this machine.

A detached actor, the desk, submits the tasks and holds what they return. It outlives the process that launches, and a
task outlives its worker: Ray starts it again, elsewhere if it has to, and it asks the desk for the last checkpoint.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydantic import Field

from mamlbench import perform_packed
from mamlbench.api import Job, PackedJob, PackedResult, WorkerLink
from mamlbench_plugins.launchers.cluster import Cluster, ClusterLauncher, ClusterOptions, Event, gpus_of, lost, require

NAMESPACE = "mamlbench"


class RayOptions(ClusterOptions):
    """Which cluster."""

    address: str = Field("", description="address of the cluster, HOST:6379 or auto; '': a cluster on this machine")
    workers: int = Field(2, ge=1, description="cells at a time on a cluster on this machine")
    placement: str = Field(
        "DEFAULT", pattern="DEFAULT|SPREAD", description="DEFAULT packs cells on machines, SPREAD not"
    )


class Ray(ClusterLauncher):
    """Cells are tasks of a Ray cluster that request processor cores, GPUs and memory."""

    Options = RayOptions

    @contextmanager
    def connect(self, packed: Sequence[PackedJob], jobs: Sequence[Job]) -> Iterator[Cluster]:
        require("ray", "ray")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will do, and warns of
        import ray

        options: RayOptions = self.options
        quiet: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
        workers = min(options.workers, len(jobs))
        if options.address:
            ray.init(address=options.address, **quiet)
        else:
            gpus = max((gpus_of(one, options) for one in packed), default=0)
            memory = {"_memory": int(workers * options.memory_gb * 1e9)} if options.memory_gb else {}
            ray.init(
                address="local",
                num_cpus=workers * options.cpus,
                include_dashboard=False,
                _system_config={"worker_niceness": 0},  # 15 otherwise: times would depend on what else runs
                **({"num_gpus": gpus} if gpus else {}),
                **memory,
                **quiet,
            )
        try:
            at_once = options.runs_at_once if options.address else max(workers, options.runs_at_once)
            yield _RayTasks(packed[0].owner, options, at_once)
        finally:
            ray.shutdown()


class _RayTasks:
    """What the process that launches asks of the desk. A desk that is lost is replaced, and its cells start again."""

    def __init__(self, owner: str, options: RayOptions, runs_at_once: int) -> None:
        self.name, self.options, self.runs_at_once = f"{NAMESPACE}-{owner}", options, runs_at_once
        self.submitted: dict[str, PackedJob] = {}
        self.desk = self._make_desk()

    def submit(self, packed: PackedJob) -> None:
        self.submitted[packed.key] = packed
        options = self.options
        requests: dict[str, Any] = {
            "num_cpus": options.cpus,
            "num_gpus": gpus_of(packed, options),
            "max_retries": options.retries,
            "scheduling_strategy": options.placement,
            "name": packed.key,
        }
        if options.memory_gb:
            requests["memory"] = int(options.memory_gb * 1e9)
        settings = {
            "scratch": options.scratch,
            "data_dir": options.data_dir,
            "threads": options.cpus,
            "runs_at_once": self.runs_at_once,
        }
        self._ask("submit", packed, requests, settings)

    def running(self, keys: Sequence[str]) -> set[str]:
        return set(self._ask("known", list(keys)))

    def collect(self, keys: Sequence[str]) -> tuple[list[Event], dict[str, PackedResult]]:
        from ray.exceptions import RayActorError

        try:
            events, ended = self._ask("collect", list(keys))
        except RayActorError:  # its machine was lost, and with it the tasks that it owned
            self.desk = self._make_desk()
            again = [key for key in keys if key in self.submitted]
            for key in again:
                self.submit(self.submitted[key])
            return [], {key: lost("the desk of its cluster was lost") for key in keys if key not in again}
        return events, ended

    def interrupt(self, keys: Sequence[str]) -> None:
        self._ask("interrupt", list(keys))

    def forget(self, keys: Sequence[str]) -> None:
        import ray

        with suppress(Exception):  # the cluster is gone, and everything with it
            if not self._ask("forget", list(keys)):
                ray.kill(self.desk)
                self.desk = None

    def _ask(self, method: str, *arguments: Any) -> Any:
        import ray

        self.desk = self.desk or self._make_desk()
        return ray.get(getattr(self.desk, method).remote(*arguments))

    def _make_desk(self) -> Any:
        import ray

        return (
            ray.remote(Desk)
            .options(name=self.name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0)
            .remote(self.name)
        )


class Desk:
    """An actor that owns the tasks of one results folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: dict[str, Any] = {}
        self.events: defaultdict[str, list[Event]] = defaultdict(list)
        self.checkpoints: dict[str, Mapping[str, bytes]] = {}
        self.interrupted: set[str] = set()

    def submit(self, packed: PackedJob, requests: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Start a task."""
        import ray

        task = ray.remote(run_cell).options(retry_exceptions=True, **requests)
        self.tasks[packed.key] = task.remote(packed, dict(settings), self.name)

    def known(self, keys: Sequence[str]) -> list[str]:
        """The cells that were submitted and not forgotten."""
        return [key for key in keys if key in self.tasks]

    def collect(self, keys: Sequence[str]) -> tuple[list[Event], dict[str, PackedResult]]:
        """New events, and the results of cells that have ended."""
        import ray

        events = [event for key in keys for event in self.events.pop(key, [])]
        waiting = [self.tasks[key] for key in keys if key in self.tasks]
        ready = set(ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]) if waiting else set()
        ended = {}
        for key in keys:
            if key not in self.tasks:
                ended[key] = lost("the cluster does not know it")
            elif self.tasks[key] in ready:
                try:
                    ended[key] = ray.get(self.tasks[key])
                except Exception as error:
                    ended[key] = lost(str(error).strip().splitlines()[-1])
        return events, ended

    def interrupt(self, keys: Sequence[str]) -> None:
        """Interrupt cells; those that have not begun end at once."""
        self.interrupted.update(keys)

    def forget(self, keys: Sequence[str]) -> int:
        """Drop cells, and return how many are left."""
        import ray

        for key in keys:
            task = self.tasks.pop(key, None)
            if task is not None and not ray.wait([task], timeout=0)[0]:
                ray.cancel(task, force=True)
            self.checkpoints.pop(key, None)
            self.events.pop(key, None)
            self.interrupted.discard(key)
        return len(self.tasks)

    def exchange(self, key: str, events: Sequence[Event]) -> bool:
        """Take events of a cell, and return whether it is to be interrupted."""
        self.events[key] += events
        return key in self.interrupted

    def keep(self, key: str, files: Mapping[str, bytes]) -> None:
        """Store the checkpoints of a cell."""
        self.checkpoints[key] = files

    def kept(self, key: str) -> Mapping[str, bytes]:
        """The last checkpoints of a cell."""
        return self.checkpoints.get(key, {})


def run_cell(packed: PackedJob, settings: Mapping[str, Any], desk: str) -> PackedResult:
    """Run a cell in a worker."""
    return perform_packed(packed, link=_RayLink(packed.key, desk), **settings)


class _RayLink(WorkerLink):
    """Everything goes to the desk."""

    def __init__(self, key: str, desk: str) -> None:
        import ray

        self.key, self.desk = key, ray.get_actor(desk, NAMESPACE)

    def exchange(self, events: Sequence[Event]) -> bool:
        import ray

        return bool(ray.get(self.desk.exchange.remote(self.key, list(events))))

    def keep(self, files: Mapping[str, bytes]) -> None:
        import ray

        ray.get(self.desk.keep.remote(self.key, dict(files)))

    def kept(self) -> Mapping[str, bytes]:
        import ray

        files: Mapping[str, bytes] = ray.get(self.desk.kept.remote(self.key))
        return files
