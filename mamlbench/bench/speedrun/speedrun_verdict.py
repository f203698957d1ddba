"""Whether an entry reached a target: a one-sided test over training seeds, and the time that it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from mamlbench.record.speedrun_target import SpeedrunResult, SpeedrunTarget


@dataclass(frozen=True)
class SpeedrunVerdict:
    """What the trials of one entry show.

    Attributes:
        result: the trials.
        score: mean over seeds, as a fraction of 1.
        deviation: standard deviation over seeds.
        p: of the one-sided t-test that the mean is below the target's score; 1 with fewer than two seeds.
        training_seconds: mean over seeds.
        reached: whether p is small enough, with the target's number of seeds.
        reason: why the claim does not count; empty if it does.
    """

    result: SpeedrunResult
    score: float
    deviation: float
    p: float
    training_seconds: float
    reached: bool
    reason: str


def judge_speedrun(target: SpeedrunTarget, result: SpeedrunResult) -> SpeedrunVerdict:
    """Judge the trials of one entry by the rules of its target."""
    scores = [trial.score for trial in result.trials]
    p = p_below(scores, target.score)
    return SpeedrunVerdict(
        result=result,
        score=mean(scores),
        deviation=stdev(scores) if len(scores) > 1 else 0.0,
        p=p,
        training_seconds=mean(trial.training_seconds for trial in result.trials),
        reached=p < target.level and len(scores) >= target.seeds,
        reason=_reason(target, result, p),
    )


def p_below(scores: Sequence[float], score: float) -> float:
    """Return p of Student's one-sided test of the hypothesis that the mean is ``score`` or less.

    Equal scores have no spread to test by: p is 0 if all are above ``score``, else 1.
    """
    if len(scores) < 2:
        return 1.0
    if len(set(scores)) == 1:
        return 0.0 if scores[0] > score else 1.0
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(scores, score, alternative="greater").pvalue)


def _reason(target: SpeedrunTarget, result: SpeedrunResult, p: float) -> str:
    if len(result.trials) < target.seeds:
        return f"{len(result.trials)} of {target.seeds} seeds"
    if p >= target.level:
        return f"p = {p:.2g}, not below {target.level:g}"
    if result.busy:
        return "the machine was busy"
    return ""
