"""The page about tuning shows what the committed studies and records hold, of all tuned methods equally."""

import re
from pathlib import Path

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.record.tuning_study import StudyFile
from mamlbench.report import read_records
from mamlbench.report.render import to_markdown
from mamlbench.report.tuning.study_result import StudyResult
from mamlbench.report.tuning.tuned_tables import tuned_tables
from mamlbench.run_spec.preset_file import read_preset_file
from mamlbench.run_spec.search_space import search_space, space_facts

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results" / "equal-tuning"
PAGE = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
BUDGET = 20
SHOWN = (1, 2, 5, 10, 20)
TUNED = {
    *("maml", "fomaml", "reptile", "pretrain", "anil", "meta-sgd", "maml++", "imaml", "protonet", "baseline++"),
    *("r2d2", "metaoptnet", "boil", "cavia", "sign-maml", "unicorn-maml", "meta-curvature", "sharp-maml", "proto-maml"),
    *("meta-baseline", "simpleshot", "matching-networks", "linear-probe", "finetune"),
}


@pytest.fixture(scope="module")
def built_in():
    entries = load_plugins().registry.entries("algorithm")
    return {entry.name: entry.load() for entry in entries if entry.origin == "mamlbench"}


@pytest.fixture(scope="module")
def results():
    studies = [StudyFile(path).read() for path in sorted((FOLDER / "tuning").glob("*.jsonl"))]
    return {header.spec.algorithm.name: StudyResult.of(header, trials, BUDGET) for header, trials in studies}


def test_the_page_names_the_methods_that_were_not_tuned(built_in):
    (sentence,) = re.findall(r"Not tuned, since they came later: (.+?)\.", PAGE, re.DOTALL)
    names = re.findall(r"`(.+?)`", sentence)
    assert sorted(names) == sorted(set(built_in) - TUNED)


def test_every_tuned_method_has_the_same_trials(results, built_in):
    assert set(results) == TUNED
    for name, result in results.items():
        assert [trial.trial for trial in result.trials] == list(range(BUDGET))
        assert result.header.space == space_facts(search_space(built_in[name].Options)), f"{name}: tune it again"
    specs = [result.header.spec for result in results.values()]
    networks = [(spec.backbone.name, {**spec.backbone.options, "scale": False}) for spec in specs]
    assert all(network == networks[0] for network in networks), "but for batch norm's scale, which CAVIA needs"
    for shared in ("dataset", "protocol", "sampler", "seed"):
        assert all(getattr(spec, shared) == getattr(specs[0], shared) for spec in specs)
    assert {result.header.sampler_seed for result in results.values()} == {0}


def test_the_page_shows_their_curves(results):
    for name, result in results.items():
        shown = " | ".join(f"{100 * result.curve.mean[n - 1]:.1f}" for n in SHOWN)
        assert f"| {name} | {shown} | {result.seconds:.0f} |" in PAGE
        options = ", ".join(f"`{option}` {value}" for option, value in result.chosen.options.items())
        assert f" | {options} ({result.chosen.trial}) |" in PAGE
    assert f"{round(sum(result.seconds for result in results.values())):,} CPU seconds" in PAGE


def test_the_preset_file_has_what_the_studies_chose(results):
    for name, result in results.items():
        tuned, default = read_preset_file(FOLDER / "tuning" / "omniglot-5w1s-20.toml", name)
        assert (tuned.name, default.name) == ("tuned-20", "default")
        assert tuned.options.items() >= result.chosen.options.items()
        assert default.options.items() >= result.default.options.items()
        assert (tuned.tuned.trials, default.tuned.trials) == (BUDGET, 1)


def test_the_quick_presets_are_those_that_were_found(built_in):
    """The best of the default and the three best trials, at full length on validation episodes."""
    studies = [StudyFile(path).read() for path in (FOLDER / "full-length" / "tuning").glob("*.jsonl")]
    for name in TUNED:
        runs = [(header.spec, trials[0]) for header, trials in studies if header.spec.algorithm.name == name]
        assert len(runs) == 4
        best = max(trial.score or 0.0 for _, trial in runs)
        (quick,) = [p for p in built_in[name].presets if p.name == "quick" and p.dataset is None]
        assert quick.tuned.score == pytest.approx(best, abs=1e-4)
        assert any(t.score == best and quick.options.items() >= chosen(t).items() for _, t in runs), name
        assert f"{100 * best:.1f} (" in PAGE or f"{100 * best:.1f} |" in PAGE


def chosen(trial):
    """A trial's options; one that is None is the default and stands in no preset."""
    return {option: value for option, value in trial.options.items() if value is not None}


def test_the_page_shows_the_order_before_and_after():
    (table,) = tuned_tables(read_records([FOLDER]).records)
    assert {row.algorithm for row in table.rows} == TUNED
    rows = [line for line in to_markdown([table]).splitlines() if line.startswith("|")]
    assert "\n".join(rows) in PAGE
