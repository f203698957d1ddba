"""Peak memory of one piece of work: measured in a process that does nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from mamlbench.bench.bench_settings import Setting
from mamlbench.bench.training import TrainingIterations
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Precision
from mamlbench.runner.meter import peak_resident_bytes

START_METHOD = "spawn"
"""How processes begin: with nothing of this one, whose memory would count as theirs."""
PLAIN = "plain"
"""Whoever is called so is a loop without mamlbench or any other library than torch."""


def peak_above_idle(
    setting: Setting, algorithm: str, who: str, files: Sequence[Path], precision: Precision = "float32"
) -> int | None:
    """Peak resident bytes of two iterations above those of a process that has computed nothing yet.

    Args:
        setting: the work.
        algorithm: registered name.
        who: an engine's name, or a registered peer's.
        files: plugin files to load.
        precision: numbers to compute in.
    """
    context = multiprocessing.get_context(START_METHOD)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure, setting, algorithm, who, tuple(files), precision).result()


def _measure(setting: Setting, algorithm: str, who: str, files: tuple[Path, ...], precision: Precision) -> int | None:
    keep_memory()
    work = Work(setting, algorithm, load_plugins(files).registry, precision)
    compute = computation(work, who)
    work.batch  # noqa: B018 (drawn now: it is no part of the work)
    idle = _forget_peak()
    for _ in range(2):
        compute()
    peak = peak_resident_bytes()
    return None if idle is None or peak is None else peak - idle


def _forget_peak() -> int | None:
    """Let the peak begin anew where the system can (Linux), and return what it is now: imports have peaks too."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_resident_bytes()


def computation(work: Work | TrainingIterations, who: str) -> Callable[[], Any]:
    """The work by a plain loop, by a peer of that name, else with the engine of that name."""
    if who == PLAIN:
        return work.plain()
    if who in work.registry.names("peer"):
        return work.peers(work.registry.load("peer", who)())
    return work.ours(who)
