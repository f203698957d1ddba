"""Runs in progress as the page shows them: how far they are, and their validation scores so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mamlbench.record.runs_in_progress import RunInProgress
from mamlbench.report.figures.view import is_drawable
from mamlbench.report.formatting import number

WIDTH, HEIGHT = 100.0, 24.0
"""Size of the curve, in units of its view box."""


@dataclass(frozen=True)
class RunningRow:
    """One run in progress."""

    title: str
    process: str
    iteration: int
    iterations: int
    validation: str
    """The last score; empty before the first validation."""
    curve: str
    """Points of the validation scores for an SVG polyline; empty for fewer than two."""

    @classmethod
    def of(cls, run: RunInProgress) -> Self:
        """Describe a run."""
        last = run.validations[-1] if run.validations else None
        text = "" if last is None else f"{run.metric} {number(last[1])} at iteration {last[0]:,}"
        return cls(run.title, run.process, run.iteration, run.iterations, text, _curve(run))


def _curve(run: RunInProgress) -> str:
    points = [(iteration, score) for iteration, score in run.validations if is_drawable(score)]
    if len(points) < 2:
        return ""
    scores = [score for _, score in points]
    low, span = min(scores), (max(scores) - min(scores)) or 1.0
    end = max(run.iterations, points[-1][0], 1)
    return " ".join(
        f"{WIDTH * iteration / end:.1f},{1 + (HEIGHT - 2) * (1 - (score - low) / span):.1f}"
        for iteration, score in points
    )
