"""Every mutant fails the check that is meant for it, and correct plugins pass."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.testing import CHECKS, SUBJECTS, run_checks
from mamlbench_plugins.datasets.glyph_classes import read_alphabet

_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants") / "__init__.py")
mutants = sys.modules["mutants"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutants)

SHIPPED = {
    kind: [
        entry.name
        for entry in load_plugins().registry.entries(kind)
        if entry.origin == "mamlbench" and not entry.placeholder  # a family has no network of its own
    ]
    for kind in CHECKS
}
CHECK = {(kind, check.name): check for kind, checks in CHECKS.items() for check in checks}


def run(kind, plugin, check):
    return CHECK[kind, check](SUBJECTS[kind](plugin))


@pytest.mark.parametrize("kind, mutant, check", mutants.MUTANTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_mutant_is_caught_by_the_check_meant_for_it(kind, mutant, check):
    result = run(kind, mutant, check)
    assert result.status == "failed", f"{mutant.__name__}: {result}"
    assert result.message and result.hint
    # the check detects the mutation, not an error in the mutant's own code
    errors = ("AttributeError", "TypeError", "NameError", "KeyError")
    assert not result.message.startswith(errors), result.message


BREAKING = [(kind, mutant) for kind, mutant, check in mutants.MUTANTS if CHECK[kind, check].needed]


@pytest.mark.parametrize("kind, mutant", BREAKING, ids=lambda value: getattr(value, "__name__", None))
def test_an_error_that_breaks_everything_fails_one_check_and_the_others_wait(kind, mutant):
    results = run_checks(CHECKS[kind], SUBJECTS[kind](mutant))
    (failed,) = [result for result in results if result.status == "failed"]
    after = results[results.index(failed) + 1 :]
    assert CHECK[kind, failed.check].needed and len(after) > 5
    assert {(result.status, result.message) for result in after} == {("skipped", f"needs '{failed.check}' to pass")}


def test_every_check_has_a_mutant():
    assert {(kind, check) for kind, _, check in mutants.MUTANTS} >= set(CHECK) - {
        (kind, check.name) for kind in ("backbone", "dataset", "sampler") for check in CHECKS["algorithm"][:4]
    }
    assert len(mutants.MUTANTS) >= 15


@pytest.mark.parametrize(
    "kind, plugin",
    [
        ("backbone", mutants.Flat),
        ("backbone", mutants.Tokens),
        ("dataset", mutants.Patterns),
        ("dataset", mutants.Valued),
        ("metric", mutants.Right),
        ("metric", mutants.LabelAccuracy),
    ],
)
def test_the_base_classes_of_mutants_are_correct(kind, plugin):
    results = [check(SUBJECTS[kind](plugin)) for check in CHECKS[kind]]
    assert not [result for result in results if result.status == "failed"]


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS["algorithm"], ids=str)
@pytest.mark.parametrize("name", SHIPPED["algorithm"])
def test_every_built_in_algorithm_meets_its_contract(name, check):
    result = check(SUBJECTS["algorithm"](load_plugins().registry.load("algorithm", name)))
    assert result.status != "failed", result
    if result.status == "skipped":
        pytest.skip(result.message)


@pytest.mark.parametrize("name", SHIPPED["metric"])
def test_every_built_in_metric_meets_its_contract(name):
    assert failed("metric", name) == []


@pytest.mark.parametrize("name", SHIPPED["sampler"])
def test_every_built_in_sampler_meets_its_contract(name):
    assert failed("sampler", name) == []


DEEP = ("resnet12", "resnet18", "vgg16")
"""Networks whose second derivatives take seconds: .ci/run checks them with the slow tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.acceptance] * (name in DEEP)) for name in SHIPPED["backbone"]]
)
def test_every_built_in_backbone_meets_its_contract(name):
    assert failed("backbone", name) == []


def test_the_data_sets_without_files_meet_their_contract(monkeypatch):
    read = cache(lambda *fonts: read_alphabet(list(fonts)))  # it takes seconds and is needed twice
    monkeypatch.setattr("mamlbench_plugins.datasets.glyphs.read_alphabet", lambda fonts, progress: read(*fonts))
    assert failed("dataset", "glyphs", drawings=4) == []
    assert failed("dataset", "sinusoid") == []


def failed(kind, name, **options):
    """Return the results of the checks that failed."""
    subject = SUBJECTS[kind](load_plugins().registry.load(kind, name), **options)
    return [result for result in (check(subject) for check in CHECKS[kind]) if result.status == "failed"]
