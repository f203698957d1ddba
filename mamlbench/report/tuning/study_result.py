"""The result of one study: the trial that was chosen, and what n trials are expected to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mamlbench.record.tuning_study import StudyHeader, TuningTrial
from mamlbench.report.statistics.best_of_n import ExpectedBest, expected_best


@dataclass(frozen=True)
class StudyResult:
    """The first ``budget`` trials of a study; trial 0 has the options of the preset."""

    header: StudyHeader
    trials: Sequence[TuningTrial]

    @classmethod
    def of(cls, header: StudyHeader, trials: Sequence[TuningTrial], budget: int) -> StudyResult:
        """The result of the trials whose number is less than the budget: later ones are left out."""
        return cls(header, [trial for trial in trials if trial.trial < budget])

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.header.spec.algorithm.name

    @property
    def default(self) -> TuningTrial:
        """Trial 0."""
        return self.trials[0]

    @cached_property
    def chosen(self) -> TuningTrial:
        """The trial with the best score; of equal ones, and if all failed, the first."""
        finished = [trial for trial in self.trials if trial.score is not None]
        sign = 1.0 if self.default.higher_is_better else -1.0
        return max(finished, key=lambda trial: sign * (trial.score or 0.0), default=self.default)

    @property
    def failed(self) -> int:
        """Number of trials without a score."""
        return sum(trial.score is None for trial in self.trials)

    @cached_property
    def curve(self) -> ExpectedBest | None:
        """What n trials are expected to find; a trial without a score counts as the worst. None if all failed."""
        scores = [trial.score for trial in self.trials if trial.score is not None]
        if not scores:
            return None
        higher = self.default.higher_is_better
        worst = min(scores) if higher else max(scores)
        first, *drawn = (worst if trial.score is None else trial.score for trial in self.trials)
        return expected_best(first, drawn, higher_is_better=higher)

    @property
    def seconds(self) -> float:
        """Device seconds of all trials."""
        return sum(trial.device_seconds for trial in self.trials)


def ranked(results: Sequence[StudyResult]) -> list[StudyResult]:
    """Sort results by what the whole budget found, the best first."""

    def key(result: StudyResult) -> tuple[bool, float]:
        score = result.chosen.score
        return score is None, -(score or 0.0) if result.default.higher_is_better else (score or 0.0)

    return sorted(results, key=key)
