"""What decides an inconclusive comparison: a number that somebody would run, and a threshold that passes."""

import json
import re

import pytest

from mamlbench.errors import ExitCode
from mamlbench.report.gate import compare_records, parse_thresholds
from mamlbench.report.gate.configurations import pair_configurations
from mamlbench.report.gate.render import to_benchmark, to_text

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
