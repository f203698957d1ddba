"""The output of ``mamlbench tune``: the progress of trials, the estimated time left, and the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mamlbench.progress.console import console
from mamlbench.progress.display import ProgressDisplay, duration
from mamlbench.report.formatting import percent_or_number
from mamlbench.run_spec import RunSpec

if TYPE_CHECKING:
    from mamlbench.record.tuning_study import TuningTrial
    from mamlbench.report.tuning.study_result import StudyResult
    from mamlbench.runner.tuning.run_study import Study


class TuningDisplay(ProgressDisplay):
    """Progress of trials, with the number of all trials and the time left after each."""

    def __init__(self, studies: Sequence[Study], budget: int) -> None:
        super().__init__()
        self.studies, self.budget = studies, budget
        self._names: dict[str, str] = {}

    @property
    def left(self) -> int:
        """Number of trials that are still to be run."""
        return sum(max(0, self.budget - len(study.trials)) for study in self.studies)

    def title(self, spec: RunSpec) -> str:
        """Return method and number of a trial, with its place among all that are to be run."""
        return self._names.get(spec.hash) or super().title(spec)

    def started(self, study: Study, number: int, spec: RunSpec) -> None:
        """Show that a trial begins."""
        total = len(self.studies) * self.budget
        self._names = {spec.hash: f"{total - self.left + 1}/{total} {study.name}, trial {number}"}
        self.mamlbench_run_started(spec)

    def emit(self, hook: str, *, spec: RunSpec, **arguments: Any) -> None:
        """Show an event of the trial."""
        show = getattr(self, hook, None)
        if show is not None:
            show(spec=spec, **arguments)

    def ended(self, study: Study, trial: TuningTrial) -> None:
        """Print in one line how a trial ended."""
        self.close()
        self.runs.clear()
        score = trial.status if trial.score is None else _score(trial, trial.score)
        reason = f": {' '.join(trial.reason.splitlines())}" if trial.reason else ""
        done = len(self.studies) * self.budget - self.left
        count = f"{done} of {len(self.studies) * self.budget} trials"
        self.print_line(f"{study.name}, trial {trial.trial}: {score}{reason}; {count}{self._time_left()}")

    def _time_left(self) -> str:
        seconds = 0.0
        every = [trial.wall_seconds for study in self.studies for trial in study.trials]
        for study in self.studies:
            own = [trial.wall_seconds for trial in study.trials] or every
            seconds += max(0, self.budget - len(study.trials)) * median(own)
        return f", about {duration(seconds)} left" if seconds else ""


class QuietListener:
    """Shows nothing."""

    def started(self, study: Study, number: int, spec: RunSpec) -> None:
        """Show nothing."""

    def emit(self, hook: str, *, spec: RunSpec, **arguments: Any) -> None:
        """Show nothing."""


def _score(trial: TuningTrial, score: float) -> str:
    percent = trial.unit == "%"
    return f"{trial.metric} {percent_or_number(score, percent)}{' %' if percent else ''}"


def print_results(results: Sequence[StudyResult]) -> None:
    """Print the expected best of n trials, and the chosen options."""
    from mamlbench.report.render.terminal import print_tables
    from mamlbench.report.tuning.tuning_tables import tuning_tables

    print_tables(tuning_tables(results), console())


def results_as_json(results: Sequence[StudyResult], presets: Path) -> str:
    """Return every study with its trials, the chosen one and the curve as JSON."""
    studies = [
        {
            "algorithm": result.name,
            "study": result.header.model_dump(mode="json"),
            "trials": [trial.model_dump(mode="json") for trial in result.trials],
            "chosen": result.chosen.trial,
            "expected_best": None if result.curve is None else [float(value) for value in result.curve.mean],
        }
        for result in results
    ]
    return json.dumps({"presets": str(presets), "studies": studies}, indent=1)
