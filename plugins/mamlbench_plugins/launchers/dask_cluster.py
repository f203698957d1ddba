"""Launcher on Dask: cells are tasks of a distributed cluster, at an address or started on this machine."""

from __future__ import annotations

import logging
import pickle
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mamlbench import perform_packed
from mamlbench.api import Job, PackedJob, PackedResult, WorkerLink
from mamlbench_plugins.launchers.cluster import Cluster, ClusterLauncher, ClusterOptions, Event, gpus_of, lost, require

if TYPE_CHECKING:
    from distributed import Client

MAX_CHECKPOINT_BYTES = 32 << 20
"""Larger checkpoints are not sent through the scheduler: a retried cell needs a shared scratch folder for them."""


class DaskOptions(ClusterOptions):
    """Which cluster."""

    address: str = Field("", description="address of the scheduler, tcp://HOST:PORT; '': a cluster on this machine")
    workers: int = Field(2, ge=1, description="workers of a cluster on this machine")


class Dask(ClusterLauncher):
    """Cells are tasks of a Dask cluster, one thread each."""

    Options = DaskOptions

    @contextmanager
    def connect(self, packed: Sequence[PackedJob], jobs: Sequence[Job]) -> Iterator[Cluster]:
        require("distributed", "dask")
        from distributed import Client, LocalCluster

        options: DaskOptions = self.options
        if options.address:
            with Client(options.address, set_as_default=False) as client:
                yield _DaskTasks(client, options, options.runs_at_once)
            return
        workers = min(options.workers, len(jobs))
        resources = {name: amount for one in packed for name, amount in _resources(one, options).items()}
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
                resources=resources,
                memory_limit=0,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield _DaskTasks(client, options, max(workers, options.runs_at_once))


class _DaskTasks:
    """Tasks under the keys of their cells. Published, they outlive the client that submitted them."""

    def __init__(self, client: Client, options: DaskOptions, runs_at_once: int) -> None:
        self.client, self.options, self.runs_at_once = client, options, runs_at_once
        self.futures: dict[str, Any] = {}
        self.events: deque[Event] = deque()  # another thread appends
        self.followed: set[str] = set()

    def submit(self, packed: PackedJob) -> None:
        settings = {
            "scratch": self.options.scratch,
            "data_dir": self.options.data_dir,
            "threads": self.options.cpus,
            "runs_at_once": self.runs_at_once,
        }
        from distributed import Event as Flag

        Flag(_flag(packed.key), client=self.client).clear()  # of an earlier interrupt
        future = self.client.submit(
            run_cell,
            packed,
            settings,
            key=packed.key,
            retries=self.options.retries,
            resources=_resources(packed, self.options) or None,
        )
        self.futures[packed.key] = future
        self.client.publish_dataset(future, name=packed.key, override=True)
        self._subscribe(packed.key)

    def running(self, keys: Sequence[str]) -> set[str]:
        alive = set(keys) & set(self.client.list_datasets())
        for key in alive:
            self.futures[key] = self.client.get_dataset(key)
            self._subscribe(key)
        return alive

    def collect(self, keys: Sequence[str]) -> tuple[list[Event], dict[str, PackedResult]]:
        events = [self.events.popleft() for _ in range(len(self.events))]
        ended = {key: self.futures[key] for key in keys if self.futures[key].status != "pending"}
        return events, {key: _result(future) for key, future in ended.items()}

    def interrupt(self, keys: Sequence[str]) -> None:
        from distributed import Event as Flag

        for key in keys:
            Flag(_flag(key), client=self.client).set()

    def forget(self, keys: Sequence[str]) -> None:
        from distributed import Event as Flag
        from distributed import Variable

        for key in keys:
            future = self.futures.pop(key, None)
            if key in self.followed:
                self.client.unsubscribe_topic(key)
                self.followed.discard(key)
            with suppress(Exception):  # the cluster is gone, and everything with it
                if future is not None and not future.done():
                    future.cancel()
                else:
                    Flag(_flag(key), client=self.client).clear()
                self.client.unpublish_dataset(key)
                Variable(key, client=self.client).delete()

    def _subscribe(self, key: str) -> None:
        self.client.subscribe_topic(key, self._receive)
        self.followed.add(key)

    def _receive(self, event: tuple[float, Any]) -> None:
        # Unsafe for outside data. Here it comes through the scheduler from a worker of this job, and a scheduler can
        # have its clients run code in any case: Dask itself unpickles every result.
        self.events.extend(pickle.loads(event[1]))


def run_cell(packed: PackedJob, settings: Mapping[str, Any]) -> PackedResult:
    """Run a cell in a worker."""
    return perform_packed(packed, link=_DaskLink(packed.key), **settings)


class _DaskLink(WorkerLink):
    """Events go to the topic of the cell; checkpoints into a variable of the scheduler."""

    def __init__(self, key: str) -> None:
        from distributed import Event as Flag
        from distributed import Variable, get_client, get_worker

        self.key, self.worker, client = key, get_worker(), get_client()
        self.variable, self.flag = Variable(key, client=client), Flag(_flag(key), client=client)

    def exchange(self, events: Sequence[Event]) -> bool:
        if events:
            self.worker.log_event(self.key, pickle.dumps(list(events)))
        return bool(self.flag.is_set())

    def keep(self, files: Mapping[str, bytes]) -> None:
        if sum(map(len, files.values())) <= MAX_CHECKPOINT_BYTES:
            self.variable.set([[name, content] for name, content in files.items()])

    def kept(self) -> Mapping[str, bytes]:
        from asyncio import TimeoutError as NothingSet

        with suppress(NothingSet, TimeoutError):
            return {name: bytes(content) for name, content in self.variable.get(timeout=1)}
        return {}


def _resources(packed: PackedJob, options: DaskOptions) -> dict[str, float]:
    """What a worker has to declare, as ``dask worker --resources 'GPU=1,MEMORY=16e9'``."""
    amounts = {"GPU": gpus_of(packed, options), "MEMORY": options.memory_gb * 1e9}
    return {name: amount for name, amount in amounts.items() if amount}


def _result(future: Any) -> PackedResult:
    if future.status == "finished":
        result: PackedResult = future.result()
        return result
    error = future.exception() if future.status == "error" else f"its task is {future.status}"
    return lost(error)


def _flag(key: str) -> str:
    return f"{key}-interrupt"
