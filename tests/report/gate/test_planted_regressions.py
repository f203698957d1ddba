"""The planted regressions change what they claim to change, and the experiment judges them."""

import importlib.util
import time
from pathlib import Path

import pytest
import torch
import yaml

from mamlbench.plugin import load_plugins
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.backbones.conv4 import StridedConv4

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def plant(monkeypatch):
    """Load a plant as the experiment does, and undo its changes afterwards."""
    patched = {MAML: ("__init__", "compute_update", "apply", "gradient_order"), StridedConv4: ("__init__",)}
    for owner, names in patched.items():
        for name in names:
            monkeypatch.setattr(owner, name, getattr(owner, name))

    def load(name):
        report = load_plugins([BENCHMARKS / "plants" / f"{name}.py"]).reports[-1]
        assert report.name == name and not report.error

    return load


def gradient(algorithm, batch):
    return torch.cat([value.flatten() for value in algorithm.compute_update(batch).sums.values()])


def test_the_inner_rate(plant, make_algorithm, make_batch):
    batch = make_batch()
    expected, before = (gradient(make_algorithm("maml", inner_lr=rate), batch) for rate in (1.0, 0.1))
    plant("inner_rate")
    changed = gradient(make_algorithm("maml", inner_lr=0.1), batch)
    assert torch.equal(changed, expected) and not torch.allclose(changed, before)


def test_the_order(plant, make_algorithm, make_batch):
    batch = make_batch()
    expected, before = (gradient(make_algorithm(name), batch) for name in ("fomaml", "maml"))
    plant("first_order")
    changed = gradient(make_algorithm("maml"), batch)
    assert torch.equal(changed, expected) and not torch.allclose(changed, before)


def test_the_width(plant):
    plant("double_width")
    _, features = StridedConv4(StridedConv4.Options(width=4)).features((1, 28, 28))
    assert features == 8


def test_the_loop_is_slower_and_the_same(plant, make_algorithm, make_batch):
    batch = make_batch()
    expected = gradient(make_algorithm("maml"), batch)
    plant("slow_loop")
    algorithm = make_algorithm("maml")
    update = algorithm.compute_update(batch)
    assert torch.equal(torch.cat([value.flatten() for value in update.sums.values()]), expected)
    began = time.perf_counter()
    algorithm.apply(update)
    assert time.perf_counter() - began > 0.3 * algorithm.planted_seconds > 0


@pytest.fixture(scope="module")
def experiment():
    spec = importlib.util.spec_from_file_location("planted_regressions", BENCHMARKS / "planted_regressions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_thresholds_are_those_of_ci(experiment):
    workflow = yaml.safe_load((BENCHMARKS.parent / ".github" / "workflows" / "benchmark.yml").read_text())
    (thresholds,) = [
        step["with"]["fail"] for step in workflow["jobs"]["pull-request"]["steps"] if "fail" in step.get("with", {})
    ]
    assert tuple(thresholds.split()) == experiment.FAIL


def test_recorded_runs_are_judged_and_resampled(experiment, runs, tmp_path, monkeypatch, capsys):
    """Two tries with a plant that costs 20 points, and with nothing changed: from records to the last line."""
    for number in range(2):
        for index, (variant, skill) in enumerate({"base": 0.8, "first_order": 0.6, "unchanged": 0.8}.items()):
            folder = tmp_path / f"try-{number}" / variant
            folder.mkdir(parents=True)
            first = experiment.SEEDS_APART * (10 * number + index)
            for record in runs(skill=skill, seeds=range(first, first + 4)):
                (folder / f"{record.name}.json").write_text(record.model_dump_json())
    monkeypatch.setattr(
        "sys.argv", ["x", str(tmp_path), "--judge-only", "--resamplings", "20", "--fail", "accuracy:-3pp"]
    )
    experiment.main()
    shown = capsys.readouterr().out
    assert "first_order: caught 2 of 2" in shown and "unchanged: alarms 0 of 2" in shown
    assert "first_order: caught in 100.0% of 20 resamplings" in shown
    assert "unchanged: alarms in 0.0% of 20 resamplings" in shown
