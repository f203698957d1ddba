"""Numbers of a record that contradict each other, or that no run can have: they are refused when it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mamlbench.record.run_record import Evaluation, Interval, MetricResult, ModeResult, RunRecord

ROUNDING = 1e-4
"""Scores of episodes are rounded to six decimals, and computed in at most single precision."""


def contradiction(record: RunRecord) -> str:
    """Return the first contradiction in one sentence without a full stop; empty if there is none."""
    return next(_contradictions(record), "")


def _contradictions(record: RunRecord) -> Iterator[str]:
    yield from _of_training(record)
    if record.test is None:
        return
    yield from _of_test(record.test)
    for name, metric in record.test.metrics.items():
        for mode, result in metric.modes.items():
            for problem in _of_result(record.test, metric, result):
                yield f"{name}, {mode}: {problem}"


def _of_training(record: RunRecord) -> Iterator[str]:
    planned, measured = record.spec.training.iterations, record.measurement
    done = planned if measured is None else measured.iterations
    if not 0 <= done <= planned:
        yield f"{done:,} iterations were done, of {planned:,}"
    if record.selected_iteration is not None and not 0 <= record.selected_iteration <= planned:
        yield f"iteration {record.selected_iteration:,} was selected, of {planned:,}"
    if measured is not None:
        times = [measured.wall_seconds, measured.device_seconds, measured.examples_seen]
        times += [time for segment in measured.segments.values() for time in (segment.wall, segment.device)]
        if not all(math.isfinite(time) and time >= 0 for time in times):
            yield "a time or number of examples is negative or not finite"
    skipped = record.skipped
    for name, numbers in () if skipped is None else (("update", skipped.updates), ("validation", skipped.validations)):
        if any(not 0 <= number <= planned for number in numbers) or sorted(set(numbers)) != list(numbers):
            yield f"a skipped {name} is out of order or range"


def _of_test(test: Evaluation) -> Iterator[str]:
    episodes = max(
        (len(result.episode_scores) for m in test.metrics.values() for result in m.modes.values()), default=0
    )
    counts = {"constant predictions": max(test.constant_predictions.values(), default=0)}
    counts["predictions that are not finite"] = test.untrained_diverged
    for name, count in counts.items():
        if not 0 <= count <= episodes:
            yield f"{count:,} episodes with {name}, of {episodes:,}"
    if test.classes is not None and len(test.classes.unpack()) != episodes:
        yield f"{episodes:,} episodes were scored, and the classes are those of {len(test.classes.unpack()):,}"
    for name, sizes in (("ways", test.episode_ways), ("shots", test.episode_shots)):
        least, most = getattr(test.protocol, f"least_{name}") or 0, getattr(test.protocol, name)
        if sizes and not least <= min(sizes) <= max(sizes) <= most:
            yield f"{name} of episodes are {min(sizes)} to {max(sizes)}, and the protocol has {least} to {most}"
    if test.image_use is not None and not 1 <= test.image_use.average <= test.image_use.most:
        yield "images were used less than once, or more often on average than at most"
    if test.seen is not None and (test.seen.answer == "seen") != (test.seen.classes + test.seen.images > 0):
        yield f"test data were {test.seen.answer}, and {test.seen.classes:,} classes of them were in training"
    for name, metric in test.metrics.items():
        if len(metric.score_after_step) != len(test.steps_reported):
            yield f"{name}: {len(metric.score_after_step)} scores after {len(test.steps_reported)} numbers of steps"


def _of_result(test: Evaluation, metric: MetricResult, result: ModeResult) -> Iterator[str]:
    for name in ("score", "untrained", "gain", "score_new_classes", "gain_new_classes"):
        interval: Interval | None = getattr(result, name)
        if interval is not None and not _is_ordered(interval):
            yield f"the interval of '{name}' is {interval.low} to {interval.high} around {interval.mean}"
    yield from _of_scores(test, metric, "episode_scores", result.episode_scores, result.score)
    yield from _of_scores(test, metric, "untrained_episode_scores", result.untrained_episode_scores, result.untrained)
    untrained = result.untrained_episode_scores
    if len(untrained) not in (0, len(result.episode_scores)):
        yield f"{len(untrained):,} episodes of the untrained network beside {len(result.episode_scores):,}"
    if result.gain is not None and result.untrained is not None:
        gain = (result.score.mean - result.untrained.mean) * (1 if metric.higher_is_better else -1)
        if not _is_close(gain, result.gain.mean, result.score.mean, result.untrained.mean):
            yield f"the gain is {result.gain.mean}, and the scores give {gain}"


def _of_scores(
    test: Evaluation, metric: MetricResult, name: str, scores: Sequence[float], interval: Interval | None
) -> Iterator[str]:
    import numpy as np

    share = metric.unit == "%"
    if share and interval is not None and not -ROUNDING <= interval.mean <= 1 + ROUNDING:
        yield f"a share of {interval.mean} is not between 0 and 1"
    if not scores:
        return
    planned = test.protocol.test_episodes
    if len(scores) > planned or (test.protocol.test_until is None and len(scores) != planned):
        yield f"'{name}' has {len(scores):,} episodes, and the protocol {planned:,}"
    values = np.asarray(scores)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        yield f"'{name}' has a score that is not finite"
    elif share and not (low >= -ROUNDING and high <= 1 + ROUNDING):
        yield f"'{name}' has a share of {low if low < 0 else high}, which is not between 0 and 1"
    elif interval is not None and not _is_close(_mean(values), interval.mean, low, high):
        yield f"the mean of '{name}' is {_mean(values)}, and the record says {interval.mean}"


def _mean(values: Any) -> float:
    import numpy as np

    with np.errstate(over="ignore"):  # the sum of a few 1e308 is infinite
        return float(np.mean(values))


def _is_ordered(interval: Interval) -> bool:
    low, mean, high = interval.low, interval.mean, interval.high
    slack = 1e-9 * max(1.0, abs(mean))
    return all(map(math.isfinite, (low, mean, high))) and low - slack <= mean <= high + slack


def _is_close(value: float, expected: float, *scale: float) -> bool:
    return abs(value - expected) <= ROUNDING * max(1.0, *map(abs, scale))
