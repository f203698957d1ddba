"""JSON for benchmark trackers: their formats, and names that stay the same."""

import json
import math

import jsonschema
import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.record import ResultStore
from mamlbench.report.gate.benchmark_json import TRACKER_FORMATS, to_bencher, to_bigger_is_better, to_smaller_is_better

METRIC = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
    "required": ["value"],
    "additionalProperties": False,
}
BENCHER = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": METRIC}}
"""As https://bencher.dev/bmf.json, and nothing besides."""
ENTRIES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            **{name: {"type": "string"} for name in ("name", "unit", "range", "extra")},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}


def by_name(text):
    entries = json.loads(text)
    jsonschema.validate(entries, ENTRIES)
    return {entry["name"]: entry for entry in entries}


def test_each_direction_has_its_own_values_and_accuracies_become_errors(make_record):
    records = [make_record(episodes=[0.8, 1.0, 0.9], seed=seed, seconds=200.0 + seed) for seed in range(3)]
    smaller, bigger = by_name(to_smaller_is_better(records)), by_name(to_bigger_is_better(records))
    (score,) = (entry for name, entry in bigger.items() if name.endswith("accuracy, inductive"))
    (error,) = (entry for name, entry in smaller.items() if name.endswith("accuracy, inductive, error"))
    (seconds,) = (entry for name, entry in smaller.items() if name.endswith("device_seconds"))
    assert score["value"] == pytest.approx(90) and error["value"] == pytest.approx(10)
    assert seconds["value"] == pytest.approx(201) and seconds["unit"] == "s" and seconds["range"].startswith("± ")
    assert not any("device_seconds" in name for name in bigger)


def test_bencher_gets_an_interval_around_every_value(make_record):
    records = [make_record(episodes=[0.8, 1.0, 0.9], seed=seed, seconds=200.0 + seed) for seed in range(3)]
    content = json.loads(to_bencher(records))
    jsonschema.validate(content, BENCHER)
    (measures,) = content.values()
    assert {"accuracy, inductive (%)", "device_seconds (s)", "peak_memory (MiB)"} <= measures.keys()
    for measure in measures.values():
        assert measure.get("lower_value", -math.inf) <= measure["value"] <= measure.get("upper_value", math.inf)
    assert "lower_value" in measures["device_seconds (s)"]
    assert all(len(name) <= 64 for name in measures)  # Bencher's limit


@pytest.mark.parametrize("write", TRACKER_FORMATS.values(), ids=TRACKER_FORMATS)
def test_names_stay_the_same_beside_other_configurations_and_seeds(make_record, write):
    def names(records):
        content = json.loads(write(records))
        return set(content) if isinstance(content, dict) else {entry["name"] for entry in content}

    one = [make_record(episodes=[0.8, 1.0])]
    more = [*one, make_record(episodes=[0.9, 1.0], seed=1), make_record(options={"inner_lr": 0.1}, episodes=[0.5, 0.6])]
    assert names(one) and names(one) < names(more)


def test_what_has_no_value_is_left_out(make_record):
    assert json.loads(to_smaller_is_better([make_record(status="failed")])) == []
    assert json.loads(to_bencher([make_record(status="failed")])) == {}


@pytest.mark.parametrize("name", TRACKER_FORMATS)
def test_the_command_writes_them(make_record, tmp_path, capsys, name):
    ResultStore(tmp_path).write("one", make_record(episodes=[0.8, 1.0]))
    assert main(["report", str(tmp_path), "--format", name]) == ExitCode.OK
    assert "omniglot 5-way 1-shot, quick #" in capsys.readouterr().out
    assert main(["report", str(tmp_path), "--format", name, "--sort", "score"]) == ExitCode.USAGE
    assert "has every metric" in capsys.readouterr().err
