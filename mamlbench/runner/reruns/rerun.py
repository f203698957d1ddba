"""Runs the cells of two sides again, alternately, each with its own code.

The speed of a machine varies over the day. If the sides alternate, the variation affects both alike; in two separate
blocks of runs it would look like a difference of the code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mamlbench.errors import ExitCode, one_line
from mamlbench.interrupts import check_interrupt, cleaned_up, deferred, prompt
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.reruns.git_revision import CodePaths
from mamlbench.worker_process import GRACE_SECONDS, signals_wait

Side = Literal["BASE", "HEAD"]
SIDES: tuple[Side, Side] = ("BASE", "HEAD")
_WORKER = Path(__file__).with_name("rerun_worker.py")


@dataclass(frozen=True)
class Turn:
    """One run of one side."""

    side: Side
    spec: RunSpec

    def __str__(self) -> str:
        return f"{self.side}: {self.spec.algorithm.name} on {self.spec.dataset.name}, seed {self.spec.seed}"


@dataclass(frozen=True)
class CellSpecs:
    """The specs of one cell on both sides, one per training seed."""

    base: Sequence[RunSpec]
    head: Sequence[RunSpec]


def order_turns(cells: Sequence[CellSpecs], repeats: int) -> list[Turn]:
    """Order the runs in rounds over all cells, with BASE and HEAD next to each other and alternately first.

    Every cell is run ``repeats`` times on either side, or once per seed if it has more seeds; if it has fewer, the
    seeds are repeated.
    """
    counts = [max(repeats, len(cell.base), len(cell.head)) for cell in cells]
    ordered: list[Turn] = []
    for round_number in range(max(counts, default=0)):
        for index, cell in enumerate(cells):
            if round_number < counts[index]:
                pair = [
                    Turn(side, specs[round_number % len(specs)])
                    for side, specs in zip(SIDES, (cell.base, cell.head), strict=True)
                ]
                ordered += reversed(pair) if (round_number + index) % 2 else pair
    return ordered


def rerun(
    ordered: Sequence[Turn],
    code: Mapping[Side, CodePaths],
    folders: Mapping[Side, Folders],
    on_turn: Callable[[int, Turn], None],
) -> Iterator[str]:
    """Run every turn in its own process, and yield one sentence for each that wrote no record.

    Args:
        ordered: the turns, in the order of ``order_turns``.
        code: paths of the code, by side.
        folders: folders of results and of data, by side.
        on_turn: called with the number of a turn, and the turn, before it begins.
    """
    for number, turn in enumerate(ordered):
        on_turn(number, turn)
        check_interrupt()
        problem = _run(turn.spec, code[turn.side], folders[turn.side])
        if problem:
            yield f"{turn} could not be run again: {problem}"


def _run(spec: RunSpec, code: CodePaths, folders: Folders) -> str:
    """Run one spec with this code; return the error message, empty if there is a record."""
    work = {
        "spec": spec.model_dump(mode="json"),
        "folders": folders.model_dump(mode="json"),
        "plugins": list(map(str, code.files)),
    }
    inherited = os.environ.get("PYTHONPATH")
    path = [*map(str, code.folders), *([inherited] if inherited else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with tempfile.TemporaryFile("w+", errors="replace") as messages, deferred():
        with signals_wait():
            process = subprocess.Popen(
                [sys.executable, "-P", str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                text=True,
                env=environment,
            )
        with cleaned_up(process.kill), process:
            _finish(process, json.dumps(work))
        if process.returncode == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        messages.seek(0)
        lines = messages.read().strip().splitlines() or [f"exit code {process.returncode}"]
    return one_line(lines[-1]) if process.returncode else ""


def _finish(process: subprocess.Popen[str], work: str) -> None:
    """Send a worker its work, and wait for its end; an interrupt lets it write its record first."""
    assert process.stdin is not None
    try:
        with suppress(BrokenPipeError):  # it ended at once, and says why on stderr
            process.stdin.write(f"{work}\n")
            process.stdin.flush()
        with prompt():
            process.wait()
    except KeyboardInterrupt:
        with suppress(OSError):
            process.stdin.close()  # which the worker takes for an interrupt
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        process.kill()
        raise
