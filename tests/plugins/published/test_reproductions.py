"""Every shipped reproduction plans; suites of tables hold the same runs."""

from pathlib import Path

import pytest

import mamlbench_plugins.published
from mamlbench.errors import MissingDependencyError
from mamlbench.plugin import load_plugins
from mamlbench.plugin.reproductions import read_reproductions
from mamlbench.run_spec import Folders
from mamlbench.runner.plan_reproduction import EVERY_READING, plan_reproduction, preset_of
from mamlbench.runner.suites.run_suite import plan_suite
from mamlbench.suite import read_suite

PLUGINS = load_plugins()
ENTRIES, PROBLEMS = read_reproductions(PLUGINS.registry.published)
SUITES = sorted((Path(mamlbench_plugins.published.__file__).parent / "suites").glob("*.toml"))


def planned(entry, **settings):
    try:
        return plan_reproduction(entry, PLUGINS, readings=(EVERY_READING,), device="cpu", **settings)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_the_files_are_right():
    assert not PROBLEMS and len(ENTRIES) > 40
    names = {entry.reproduction.name for entry in ENTRIES}
    assert {"finn2017/omniglot-5w1s", "nichol2018/omniglot-5w1s-transductive", "chen2019/mini-5w5s-baseline"} <= names


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.reproduction.name)
def test_it_plans_every_reading_in_full_and_at_a_scale(entry):
    for full, scaled in zip(planned(entry), planned(entry, scale=0.05), strict=True):
        assert full.specs == (full.full,) and full.mode in full.full.protocol.modes
        assert scaled.specs[0].training.iterations == round(0.05 * full.full.training.iterations)
        assert full.is_of(scaled.specs[0]), "what differs but for the length?"
        number, protocol = entry.number, full.full.protocol
        assert (number.ways or 1, number.shots) == (protocol.ways, protocol.shots)
        assert number.mode in (None, full.mode)
        assert number.queries in (None, protocol.queries) or entry.reproduction.not_comparable


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.reproduction.name)
def test_a_mistake_marks_its_runs(entry):
    readings = planned(entry, scale=0.05, seeds=2)
    assert all(spec.mistake == reading.mistake for reading in readings for spec in (reading.full, *reading.specs))
    preset = preset_of(readings[0], PLUGINS)
    assert preset.mistake == entry.reproduction.mistake


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.reproduction.name)
def test_the_readings_differ(entry):
    hashes = [reading.full.hash for reading in planned(entry)]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.reproduction.name)
def test_a_margin_is_wide_enough_for_the_source(entry):
    reproduction, number = entry
    error = reproduction.standard_error or (number.interval or 0) / 1.96
    assert 1.645 * error < reproduction.margin, "no run could be shown to reproduce it"
    assert reproduction.margin <= (0.2 * number.score + 1e-9 if number.unit == "" else 2.5)


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_suite_holds_runs_of_reproductions(path, tmp_path):
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    cells = plan_suite(read_suite(path), PLUGINS, folders).cells
    source = path.stem.partition("-")[0]
    own = [entry for entry in ENTRIES if entry.reproduction.name.startswith(f"{source}/")]
    hashes = {reading.full.hash for entry in own for reading in planned(entry)}
    assert cells and {cell.spec.hash for cell in cells} <= hashes
    assert PLUGINS.registry.entry("suite", path.stem).summary == read_suite(path).file.summary


def test_every_source_with_presets_has_its_suite():
    systems = {entry.reproduction.name.partition("/")[0] for entry in ENTRIES}
    assert systems == {path.stem.partition("-")[0] for path in SUITES}


@pytest.mark.parametrize("dataset", ["omniglot", "miniimagenet", "sinusoid"])
def test_a_plan_finds_the_real_data(call, shared_data, tmp_path, monkeypatch, dataset):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    entry = next(entry for entry in ENTRIES if entry.number.dataset == dataset)
    code, out, _ = call("reproduce", entry.reproduction.name, "--dry-run", "--data-dir", str(shared_data))
    text = " ".join(out.split())
    assert code == 0 and f"Data: {dataset}: {'ready' if dataset == 'sinusoid' else 'not prepared'}" in text
    assert ("a part of it" in text) == (dataset == "miniimagenet")
