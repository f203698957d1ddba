"""What decides an inconclusive comparison: a number that somebody would run, and a threshold that passes."""

import json
import math
import re

import numpy as np
import pytest

from mamlbench.errors import ExitCode
from mamlbench.report.gate import compare_records, parse_thresholds
from mamlbench.report.gate.configurations import pair_configurations
from mamlbench.report.gate.render import to_benchmark, to_text
from mamlbench.report.gate.verdict import Verdict
from mamlbench.report.gate.what_decides import _rounded_up as rounded_up
from mamlbench.report.gate.what_decides import passing_threshold
from mamlbench.report.statistics.significance_tests import Comparison

TIGHTEST = re.compile(r"(\S+) is the tightest threshold that passes as it is")


def compare(base, head, *fail):
    return compare_records(base, head, parse_thresholds(fail))


def detail_of(result, metric):
    (detail,) = [verdict.detail for verdict in result.verdicts if metric in (verdict.mode, verdict.metric)]
    return detail


@pytest.mark.parametrize(
    ("metric", "settings", "fail"),
    [
        ("transductive", {}, "accuracy:-0.5pp"),
        ("transductive", {"regression": True}, "score:+0.001"),
        ("device_seconds", {}, "device_seconds:+0.1%"),
        ("iterations_per_second", {}, "iterations_per_second:-0.1%"),
    ],
)
def test_the_tightest_threshold_passes_and_a_tighter_one_does_not(runs, side, metric, settings, fail):
    name = fail.partition(":")[0]
    base, head = (
        side(runs(spread=0.02, seeds=range(4), draw=draw, seconds=seconds, **settings))
        for draw, seconds in ((0, [100, 104, 97, 99]), (1, [101, 96, 103, 102]))
    )
    if metric == "iterations_per_second":
        for loaded, rates in ((base, [4.0, 4.2, 3.9, 4.1]), (head, [4.1, 3.8, 4.1, 4.0])):
            for index, record in enumerate(loaded.records):
                measured = record.measurement.model_copy(update={"iterations_per_second": rates[index]})
                loaded.records[index] = record.model_copy(update={"measurement": measured})
    threshold = TIGHTEST.search(detail_of(compare(base, head, fail), metric)).group(1)
    sign, amount, unit = re.fullmatch(r"([+-])([0-9.]+)(\D*)", threshold).groups()
    assert compare(base, head, f"{name}:{threshold}").exit_code == ExitCode.OK
    tighter = f"{name}:{sign}{0.9 * float(amount):.4f}{unit}"
    assert compare(base, head, tighter).exit_code == ExitCode.NOTHING


def test_a_number_that_nobody_would_run_is_not_suggested(runs, side):
    base, head = side(runs(spread=0.02, seeds=range(4))), side(runs(spread=0.02, seeds=range(4), draw=1))
    detail = detail_of(compare(base, head, "accuracy:-0.1pp"), "transductive")
    assert detail.startswith("no practical number of seeds decides so close to the threshold; -")
    few = detail_of(compare(side(runs(seeds=[0], draw=1)), side(runs(seeds=[0])), "accuracy:-0.5pp"), "transductive")
    assert re.match(r"needs about [0-9,]+ test episodes in place of 200; -|no practical number of test episodes", few)


def test_no_threshold_at_all_is_loud(runs, side):
    text = to_text(compare(side(runs()), side(runs(skill=0.6, draw=1))))
    assert "No threshold is set, so nothing can fail: 2 worse, 2 same. Set one, as --fail accuracy:-1pp." in text


def test_the_series_of_a_tracker_keeps_its_name(runs, side):
    """Whatever other configurations, seeds and code there are; another setting makes another series."""
    alone = runs(seeds=[0])
    others = runs(options={"inner_lr": 0.1}, seeds=[0])

    def names(*records):
        entries = json.loads(to_benchmark(compare(side(*records), side(*records))))
        return {entry["name"] for entry in entries}

    series = names(alone)
    assert series < names(alone, others) and len(names(alone, others)) == 2 * len(series)
    assert names(runs(seeds=range(3), environment={"code_hash": "f" * 16})) == series
    assert names(others).isdisjoint(series)
    (pair,) = pair_configurations(alone, alone)
    assert re.fullmatch(r"[0-9a-f]{8}", pair.identifier)
    assert all(name.startswith(f"maml, omniglot 5-way 1-shot, quick #{pair.identifier}: ") for name in series)


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [(0.0, 0.1, 0.1), (1.23, 0.1, 1.3), (1.3, 0.1, 1.4), (-0.25, 0.1, -0.2), (math.inf, 0.1, math.inf)],
)
def test_a_suggested_threshold_is_the_next_multiple_above(value, step, expected):
    assert rounded_up(value, step) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "unit", "lower_is_better", "upper", "expected"),
    [
        ("accuracy", "%", False, 0.0123, "-1.3pp"),
        ("accuracy", "%", False, -0.02, ""),
        ("accuracy", "%", False, 1.2, ""),
        ("mean squared error", "", True, 0.0123, "+0.013"),
        ("mean squared error", "", True, 250.0, "+260"),
        ("mean squared error", "", True, -3.0, ""),
        ("device_seconds", "s", True, math.log(1.2003), "+20.1%"),
        ("device_seconds", "s", True, math.log(3.5), "+250.1%"),
        ("iterations_per_second", "1/s", False, math.log(1.25), "-20.1%"),
        ("accuracy", "%", False, math.nan, ""),
    ],
)
def test_the_tightest_threshold_is_written_as_it_is_taken(metric, unit, lower_is_better, upper, expected):
    scale = 100.0 if unit == "%" else 1.0
    verdict = Verdict("maml", metric, "inductive", unit, scale, lower_is_better, "inconclusive")
    zero = np.zeros(())
    at_upper = Comparison("algorithms", np.array(upper), zero, np.array(5.0), zero, zero, zero, zero)
    assert passing_threshold(at_upper, verdict) == expected


def test_new_classes_need_more_of_them(runs, side, with_classes):
    base, head = (side([with_classes(run) for run in runs(spread=0.02, draw=draw)]) for draw in (0, 1))
    result = compare_records(base, head, parse_thresholds(["accuracy:-0.1pp"]), "new classes")
    more_classes = "needs more test classes (more episodes and seeds help only as far as classes leave chance to them)"
    assert detail_of(result, "transductive").startswith(more_classes)
