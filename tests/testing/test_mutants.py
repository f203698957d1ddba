"""The kit catches every mutant by the check meant for it, and passes what is sound."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.testing import CHECKS, SUBJECTS
from mamlbench_plugins.datasets.glyph_classes import read_alphabet

_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants") / "__init__.py")
mutants = sys.modules["mutants"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutants)

SHIPPED = {
    kind: [entry.name for entry in load_plugins().registry.entries(kind) if entry.origin == "mamlbench"]
    for kind in CHECKS
}
CHECK = {(kind, check.name): check for kind, checks in CHECKS.items() for check in checks}


def outcome(kind, plugin, check):
    return CHECK[kind, check](SUBJECTS[kind](plugin))


@pytest.mark.parametrize("kind, mutant, check", mutants.MUTANTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_mutant_is_caught_by_the_check_meant_for_it(kind, mutant, check):
    found = outcome(kind, mutant, check)
    assert found.status == "failed", f"{mutant.__name__}: {found}"
    assert found.found and found.hint
    # what was found is the mutation, and not an accident of the mutant's own code
    assert not found.found.startswith(("AttributeError", "TypeError", "NameError", "KeyError")), found.found


def test_every_check_has_a_mutant():
    assert {(kind, check) for kind, _, check in mutants.MUTANTS} >= set(CHECK) - {
        (kind, check.name) for kind in ("backbone", "dataset", "sampler") for check in CHECKS["algorithm"][:4]
    }
    assert len(mutants.MUTANTS) >= 15


@pytest.mark.parametrize(
    "kind, plugin", [("backbone", mutants.Flat), ("dataset", mutants.Patterns), ("metric", mutants.Right)]
)
def test_what_mutants_are_made_of_is_sound(kind, plugin):
    found = [check(SUBJECTS[kind](plugin)) for check in CHECKS[kind]]
    assert not [each for each in found if each.status == "failed"]


@pytest.mark.parametrize("check", CHECKS["algorithm"], ids=str)
@pytest.mark.parametrize("name", SHIPPED["algorithm"])
def test_every_builtin_algorithm_keeps_its_promises(name, check):
    found = check(SUBJECTS["algorithm"](load_plugins().registry.load("algorithm", name)))
    assert found.status != "failed", found
    if found.status == "skipped":
        pytest.skip(found.found)


@pytest.mark.parametrize("name", SHIPPED["metric"])
def test_every_builtin_metric_keeps_its_promises(name):
    assert broken("metric", name) == []


@pytest.mark.parametrize("name", SHIPPED["sampler"])
def test_every_builtin_sampler_keeps_its_promises(name):
    assert broken("sampler", name) == []


DEEP = ("resnet12", "resnet18", "vgg16")
"""Networks whose second derivatives take seconds: .ci/run checks them with the slow tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.acceptance] * (name in DEEP)) for name in SHIPPED["backbone"]]
)
def test_every_builtin_backbone_keeps_its_promises(name):
    assert broken("backbone", name) == []


def test_the_data_sets_that_need_no_files_keep_their_promises(monkeypatch):
    read = cache(lambda *fonts: read_alphabet(list(fonts)))  # it takes seconds, and they are drawn twice
    monkeypatch.setattr("mamlbench_plugins.datasets.glyphs.read_alphabet", lambda fonts, progress: read(*fonts))
    assert broken("dataset", "glyphs", drawings=4) == []
    assert broken("dataset", "sinusoid") == []


def broken(kind, name, **given):
    """Outcomes of the checks that failed."""
    subject = SUBJECTS[kind](load_plugins().registry.load(kind, name), **given)
    return [found for found in (check(subject) for check in CHECKS[kind]) if found.status == "failed"]
