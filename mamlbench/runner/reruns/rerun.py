"""Running the cells of two sides again, by turns, each with its own code: only so can their times be compared.

A machine is not equally fast all day. Runs that take turns share its moods; two blocks of runs, one after the other,
would show them as a difference of the code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.reruns.git_revision import Code

Side = Literal["BASE", "HEAD"]
SIDES: tuple[Side, Side] = ("BASE", "HEAD")
_SCRIPT = Path(__file__).with_name("rerun_worker.py")


@dataclass(frozen=True)
class Turn:
    """One run of one side."""

    side: Side
    spec: RunSpec

    def __str__(self) -> str:
        return f"{self.side}: {self.spec.algorithm.name} on {self.spec.dataset.name}, seed {self.spec.seed}"


@dataclass(frozen=True)
class Matched:
    """The specs of one cell on both sides, one for each training seed."""

    base: Sequence[RunSpec]
    head: Sequence[RunSpec]


def turns(cells: Sequence[Matched], repeats: int) -> list[Turn]:
    """Put runs in order: rounds over all cells, BASE and HEAD next to each other, the first of them in turn.

    Every cell is run ``repeats`` times on either side, or once with each of its seeds where these are more; where
    there are fewer seeds than runs, they come again.
    """
    counts = [max(repeats, len(cell.base), len(cell.head)) for cell in cells]
    ordered: list[Turn] = []
    for number in range(max(counts, default=0)):
        for place, cell in enumerate(cells):
            if number < counts[place]:
                pair = [
                    Turn(side, specs[number % len(specs)])
                    for side, specs in zip(SIDES, (cell.base, cell.head), strict=True)
                ]
                ordered += reversed(pair) if (number + place) % 2 else pair
    return ordered


def rerun(
    ordered: Sequence[Turn],
    code: Mapping[Side, Code],
    folders: Mapping[Side, Folders],
    told: Callable[[int, Turn], None],
) -> Iterator[str]:
    """Run every turn in a process of its own and yield a sentence for each that left no record.

    Args:
        ordered: what ``turns`` gave.
        code: where either side's code lies.
        folders: where either side's records go.
        told: called with its number before a turn begins.
    """
    for number, turn in enumerate(ordered):
        told(number, turn)
        problem = _run(turn.spec, code[turn.side], folders[turn.side])
        if problem:
            yield f"{turn} could not be run again: {problem}"


def _run(spec: RunSpec, code: Code, folders: Folders) -> str:
    """Run one spec with the code at hand; say what went wrong, where something did."""
    given = {
        "spec": spec.model_dump(mode="json"),
        "folders": folders.model_dump(mode="json"),
        "plugins": list(map(str, code.files)),
    }
    before = os.environ.get("PYTHONPATH")
    path = [*map(str, code.folders), *([before] if before else [])]
    done = subprocess.run(
        [sys.executable, "-P", str(_SCRIPT)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return said[-1]
