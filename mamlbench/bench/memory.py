"""Peak memory of a computation, measured in a new process."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from mamlbench.bench.bench_settings import BenchSetting
from mamlbench.bench.training import TrainingIterations
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.interrupts import deferred, prompt
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Precision
from mamlbench.runner.meter import peak_resident_bytes
from mamlbench.worker_process import signals_wait, work_for_parent

START_METHOD: Final = "spawn"
"""Start method of the processes: a forked one would inherit this process's memory, which would be counted."""
PLAIN = "plain"
"""Name of the competitor that is a plain loop over tasks with torch alone."""


def peak_above_idle(
    setting: BenchSetting, algorithm: str, competitor: str, files: Sequence[Path], precision: Precision = "float32"
) -> int | None:
    """Measure the peak resident bytes of two iterations above those of a process that has computed nothing yet.

    Args:
        setting: the setting.
        algorithm: registered name.
        competitor: an engine's name, or a registered peer's.
        files: plugin files to load.
        precision: precision to compute in.
    """
    context = multiprocessing.get_context(START_METHOD)
    with deferred(), ProcessPoolExecutor(1, mp_context=context, initializer=work_for_parent) as pool:
        with signals_wait(START_METHOD):
            result = pool.submit(_measure, setting, algorithm, competitor, tuple(files), precision)
        try:
            with prompt():
                return result.result()
        except KeyboardInterrupt:
            for child in multiprocessing.active_children():
                child.kill()
            raise


def _measure(
    setting: BenchSetting, algorithm: str, competitor: str, files: tuple[Path, ...], precision: Precision
) -> int | None:
    keep_memory()
    work = Work(setting, algorithm, load_plugins(files).registry, precision)
    compute = computation(work, competitor)
    work.batch  # noqa: B018 (drawn before measuring)
    idle = _reset_peak()
    for _ in range(2):
        compute()
    peak = peak_resident_bytes()
    return None if idle is None or peak is None else peak - idle


def _reset_peak() -> int | None:
    """Reset the peak if the system supports it (Linux), and return its present value: imports have peaks too."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_resident_bytes()


def computation(work: Work | TrainingIterations, competitor: str) -> Callable[[], Any]:
    """Return the work as done by the plain loop, a peer of this name, or the engine of this name."""
    if competitor == PLAIN:
        return work.with_plain_loop()
    if competitor in work.registry.names("peer"):
        return work.with_peer(work.registry.load("peer", competitor)())
    return work.with_engine(competitor)
