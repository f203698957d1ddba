"""Runs of a results folder that processes are working on: what their claims and last checkpoints say."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mamlbench.record.claims import ClaimWatcher
from mamlbench.record.run_record import CurvePoint
from mamlbench.run_spec import RunSpec
from mamlbench.run_spec.outside_text import read_limited

CLAIM = re.compile(r"\.(.+)\.claim-\d+")
CHECKPOINTS = ("checkpoint-1.json", "checkpoint-2.json")
MAX_CHECKPOINT_BYTES = 1 << 26


@dataclass(frozen=True)
class RunInProgress:
    """A run that has no record yet, or goes on after an interrupt."""

    name: str
    process: str
    """The process that works on it."""
    spec: RunSpec | None = None
    """None before its first checkpoint."""
    iteration: int = 0
    """Meta-iterations done at the last checkpoint."""
    validations: list[tuple[int, float]] = field(default_factory=list)
    """Iteration and score in the metric that selects."""
    metric: str = ""

    @property
    def title(self) -> str:
        """Method, data set and seed; before the first checkpoint the name of the run."""
        if self.spec is None:
            return self.name
        return f"{self.spec.label or self.spec.algorithm.name} on {self.spec.dataset.title}, seed {self.spec.seed}"

    @property
    def iterations(self) -> int:
        """Meta-iterations in all; 0 if they are not known."""
        return self.spec.training.iterations if self.spec is not None else 0


def runs_in_progress(folder: Path, watcher: ClaimWatcher) -> list[RunInProgress]:
    """Return the runs in this folder and below that a process works on, in order of name.

    A process on another machine counts until ``watcher`` has seen its heartbeat stand still. Damaged checkpoints count
    as none: a run writes over them.
    """
    return [
        _in_progress(target, str(watcher.holder(target) or "another process"))
        for target in sorted(set(_claimed(folder)))
        if target.is_dir() and watcher.is_held(target)
    ]


def _claimed(folder: Path) -> Iterator[Path]:
    for place, _, files in os.walk(folder):
        for name in files:
            match = CLAIM.fullmatch(name)
            if match:
                yield Path(place, match[1])


def _in_progress(target: Path, process: str) -> RunInProgress:
    contents = filter(None, (_content(target / name) for name in CHECKPOINTS))
    content = max(contents, key=lambda content: _number(content.get("number")), default=None)
    try:
        if content is not None:
            return _from_checkpoint(target.name, process, content)
    except (ValidationError, KeyError, TypeError, AttributeError, ValueError):
        pass  # of another release
    return RunInProgress(target.name, process)


def _from_checkpoint(name: str, process: str, content: dict[str, Any]) -> RunInProgress:
    spec = RunSpec.model_validate(content["about"]["spec"])
    curve = [CurvePoint.model_validate(point) for point in content["progress"]["curve"]]
    firsts = [(point.iteration, next(iter(point.validation.items()))) for point in curve if point.validation]
    return RunInProgress(
        name,
        process,
        spec,
        int(content["progress"]["iteration"]),
        [(iteration, score) for iteration, (_, score) in firsts],
        firsts[-1][1][0] if firsts else "",
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _content(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(read_limited(path, MAX_CHECKPOINT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
