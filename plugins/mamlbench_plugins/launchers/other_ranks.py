"""The processes that compute a run together with its first one, on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from mamlbench import perform
from mamlbench.api import Job
from mamlbench.errors import DivergedError, RankLostError, describe_error
from mamlbench.worker_process import work_for_parent

THREADS = "OMP_NUM_THREADS"
"""Variable with the threads of each process; without it the cores are divided evenly."""
_LEAVE_SECONDS = 5.0
"""Time that the others have to end after the first one."""


class OtherRanks:
    """All processes of one run but the first; none if there is one rank.

    Args:
        count: number of ranks, the first included.
        max_parallel: runs at a time, which divide the cores among themselves.
    """

    def __init__(self, count: int, max_parallel: int = 1) -> None:
        self.count = count
        self._threads = max(1, _cores() // (count * max_parallel))
        self._folder = Path(tempfile.mkdtemp(prefix="mamlbench-ranks-")) if count > 1 else None
        self._processes: list[BaseProcess] = []

    def place(self, rank: int) -> dict[str, str]:
        """The variables by which a process knows its rank; empty if there is one."""
        if self._folder is None:
            return {}
        own = {"RANK": rank, "WORLD_SIZE": self.count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": self.count}
        texts = {name: str(value) for name, value in own.items()}
        return {
            **texts,
            "MAMLBENCH_RENDEZVOUS": str(self._folder / "rendezvous"),
            THREADS: os.environ.get(THREADS, str(self._threads)),
        }

    def start(self, context: BaseContext, job: Job) -> None:
        """Start them."""
        for rank in range(1, self.count):
            name = f"mamlbench-{job.spec.algorithm.name}-rank-{rank}"
            process = context.Process(target=_follow, args=(job, self.place(rank)), name=name)  # type: ignore[attr-defined]
            process.start()
            self._processes.append(process)

    def end(self) -> None:
        """Wait until they have noticed that the first one has ended; kill those that do not."""
        end = time.monotonic() + _LEAVE_SECONDS
        for process in self._processes:
            process.join(max(0.0, end - time.monotonic()))
            process.kill()
            process.join()
        self._processes.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def take_place(place: Mapping[str, str]) -> None:
    """Make this process the rank that the variables of ``OtherRanks.place`` name."""
    if not place:
        return
    os.environ.update(place)
    if sys.platform == "linux":  # a name that the machine cannot resolve would keep gloo from its own loopback
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    import torch

    torch.set_num_threads(int(place[THREADS].split(",")[0]))


def _follow(job: Job, place: Mapping[str, str]) -> None:
    """Compute the share of a rank that is not the first: it prints only what the first one cannot know."""
    try:
        work_for_parent()
        take_place(place)
        perform(job)
    except (DivergedError, RankLostError, KeyboardInterrupt):  # the first one has recorded this, or ended before
        sys.exit(1)
    except BaseException as error:
        print(f"Process {place['RANK']} of the run: {describe_error(error)}", file=sys.stderr)
        sys.exit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
