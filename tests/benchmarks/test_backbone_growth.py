"""``benchmarks/backbone_growth.py``: measurements, skipped ones with their reasons, and the image."""

import json
import sys
from pathlib import Path

import pytest

from mamlbench.bench.rounds import RoundStatistics
from mamlbench.plugin import load_plugins

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import backbone_growth
from growth import measurement
from growth.figure import growth_figure, short_number
from growth.measurement import ALGORITHMS, NETWORKS, GrowthBench, GrowthResult, GrowthSetting


@pytest.fixture(autouse=True)
def preloaded_processes(monkeypatch, start_method):
    """Start the processes that are measured quickly."""
    monkeypatch.setattr(measurement, "START_METHOD", start_method)


def tiny(name, algorithms=("maml",), **network):
    return GrowthSetting(name, algorithms, tasks=2, steps=2, shape=(1, 8, 8), backbone="mlp", network=network)


def cell(network, algorithm, seconds=None, memory=None, parameters=1000):
    failure = {"skipped": "memory", "note": "too large"}
    spread = seconds and RoundStatistics(seconds, float("nan"), float("nan"), (seconds, seconds))
    return GrowthResult(
        network, algorithm, parameters, spread, memory, 1 if seconds else 0, **({} if seconds else failure)
    )


def test_every_network_can_be_built_and_they_grow():
    registry = load_plugins().registry
    sizes = {name: measurement.GrowthWork(setting, "maml", registry).parameters for name, setting in NETWORKS.items()}
    assert all(setting.algorithms == ALGORITHMS for setting in NETWORKS.values())
    assert sizes["conv4-16"] < sizes["conv4-64"] < sizes["resnet12"] and sizes["vgg16"] > 10_000_000


@pytest.mark.slow
def test_each_network_is_measured_and_one_that_does_not_fit_is_named(monkeypatch, tmp_path, capsys):
    cases = (tiny("small", hidden=(16,)), tiny("huge", hidden=(2**34,)))  # its first layer alone has 4 TiB
    monkeypatch.setattr(backbone_growth, "NETWORKS", {case.name: case for case in cases})
    image = tmp_path / "growth.svg"
    arguments = ["--network", "small", "huge", "--rounds", "2", "--output", str(image), "--json"]
    assert backbone_growth.main(arguments) == 0
    output = json.loads(capsys.readouterr().out)
    small, huge = output["results"]
    # 64 * 16 weights, 16 biases of batch norm, a head of 16 * 5 + 5
    assert (small["network"], small["algorithm"], small["parameters"], small["rounds"]) == ("small", "maml", 1125, 2)
    assert small["seconds"]["median"] > 0 and small["seconds"]["low"] is None and 0 <= small["memory"] < 2**30
    assert huge["seconds"] is None and huge["skipped"] == "memory" and "does not fit into" in huge["note"]
    assert "huge" in image.read_text() and output["engine"] == "loop" and output["environment"]["threads"] > 0


def test_a_measurement_that_takes_too_long_is_ended_and_named():
    bench = GrowthBench([tiny("slow")], "loop", rounds=1, limit=0)
    assert [(result.skipped, result.note) for result in bench.results()] == [("time", "took longer than 0 s")]


def test_a_process_that_dies_is_named():
    bench = GrowthBench([tiny("any", no_such_option=1)], "loop", rounds=1, limit=300)
    assert [(result.skipped, result.note) for result in bench.results()] == [
        ("neither", "its process died (exit code 1)")
    ]


def test_a_table_has_ratios_to_first_order_and_the_notes(monkeypatch, capsys):
    results = [cell("a", "maml", 3.0, 300 * 2**20), cell("a", "fomaml", 1.5, 100 * 2**20), cell("b", "maml")]
    monkeypatch.setattr(GrowthBench, "results", lambda self: iter(results))
    assert backbone_growth.main([]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "1", "k", "maml", "3", "±", "0", "2.0", "300", "3.0"] in lines
    assert ["fomaml", "1.5", "±", "0", "1.0", "100", "1.0"] in lines
    assert ["b", "1", "k", "maml", "too", "large"] in lines


def test_without_any_measurement_the_exit_code_is_1(monkeypatch, capsys):
    monkeypatch.setattr(GrowthBench, "results", lambda self: iter([cell("a", "maml")]))
    assert backbone_growth.main([]) == 1
    assert "too large" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--network", "conv4-46"], "invalid choice: 'conv4-46'"),
        (["--engine", "vmp"], "Unknown engine 'vmp'"),
        (["--output", "growth.gif"], "must end in png, svg, pdf"),
        (["--output", "no/such/folder/growth.png"], "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_reported_before_anything_is_measured(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(GrowthBench, "results", lambda self: pytest.fail("measured"))
    with pytest.raises(SystemExit, match="2"):
        backbone_growth.main(arguments)
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("format_", ["png", "svg", "pdf"])
def test_the_image_is_the_same_each_time_and_marks_what_was_skipped(format_):
    cells = [cell(name, algorithm, 2.0, 2**20) for name in ("a", "b") for algorithm in ALGORITHMS]
    first, again = (growth_figure(cells, "title", format_) for _ in range(2))
    assert first == again
    skipped = growth_figure([*cells[:3], cell("b", "maml"), *cells[4:]], "title", format_)
    assert skipped != first
    if format_ == "svg":
        assert b"mathdefault" not in first  # numbers on the axes are plain ones
        assert b"did not fit into memory" in skipped and b"did not fit into memory" not in first
        assert b"took too long" not in skipped


def test_numbers_of_parameters_are_short():
    assert [short_number(n) for n in (1125, 113_088, 999_600, 8_015_872)] == ["1.12 k", "113 k", "1 M", "8.02 M"]
