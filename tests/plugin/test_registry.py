import sys

import pytest

from mamlbench.api import Metric, Options, TaskSampler
from mamlbench.errors import ConfigError, MissingDependencyError
from mamlbench.plugin import KINDS, Entry, Registry


def entry(name="mine", target="some.module:Class", kind="algorithm", origin="a-plugin"):
    return Entry(kind, name, target, "", origin)


def registry_with(*entries):
    registry = Registry()
    registry.add_all(entries)
    return registry


def test_names_and_entries_come_sorted_kind_by_kind():
    registry = registry_with(entry("b"), entry("z", kind="sampler"), entry("a"), entry("m", kind="dataset"))
    assert registry.names("algorithm") == ["a", "b"]
    assert [(entry.kind, entry.name) for entry in registry.entries()] == [
        ("algorithm", "a"),
        ("algorithm", "b"),
        ("dataset", "m"),
        ("sampler", "z"),
    ]
    assert [entry.name for entry in registry.entries("dataset")] == ["m"]


def test_one_name_may_stand_for_things_of_different_kinds():
    registry = registry_with(*(entry("same", kind=kind) for kind in KINDS))
    assert all(registry.names(kind) == ["same"] for kind in KINDS)


@pytest.mark.parametrize("target", ["module", "module:", ":Class", "", 42, None])
def test_a_malformed_target_is_refused_when_it_is_registered(target):
    with pytest.raises(ValueError, match=r"algorithm 'mine' is not 'module:Class'"):
        registry_with(entry(target=target))


def test_a_name_that_is_taken_raises_with_its_plugin():
    registry = registry_with(entry(origin="first"))
    with pytest.raises(ValueError, match="algorithm 'mine' is already registered by first"):
        registry.add_all([entry(origin="second")])
    assert registry.entry("algorithm", "mine").origin == "first"


def test_two_spellings_of_one_name_are_one_metric():
    registry = registry_with(entry("macro F1", kind="metric", origin="first"))
    with pytest.raises(ValueError, match="metric 'macro-f1' is already registered by first"):
        registry.add_all([entry("macro-f1", kind="metric")])


def test_a_metric_is_registered_under_the_name_of_its_class():
    metric = type("Mine", (Metric,), {"name": "mine"})
    assert entry(target=metric, kind="metric").load() is metric
    with pytest.raises(ConfigError, match=r"metric 'other' .* must have the same name = 'other'"):
        entry("other", target=metric, kind="metric").load()


@pytest.mark.parametrize("bad", [entry("taken"), entry("new"), entry("x", target="no class")], ids=["a", "b", "c"])
def test_names_are_added_all_or_none(bad):
    registry = registry_with(entry("taken"))
    with pytest.raises(ValueError, match="algorithm"):
        registry.add_all([entry("new"), entry("other", kind="dataset"), bad])
    assert registry.names("algorithm") == ["taken"]
    assert registry.names("dataset") == []


@pytest.mark.parametrize(("name", "answer"), [("reptil", "Did you mean 'reptile'?"), ("qqq", "Known: maml, reptile.")])
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(name, answer):
    registry = registry_with(entry("maml"), entry("reptile"))
    with pytest.raises(ConfigError) as caught:
        registry.load("algorithm", name)
    assert str(caught.value) == f"Unknown algorithm '{name}'. {answer}"


def test_a_class_is_imported_when_it_is_first_used(tmp_path, monkeypatch):
    (tmp_path / "late_plugin.py").write_text("from mamlbench.api import TaskSampler\nclass Late(TaskSampler): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = registry_with(entry("late", "late_plugin:Late", "sampler"))
    assert "late_plugin" not in sys.modules
    try:
        assert issubclass(registry.load("sampler", "late"), TaskSampler)
    finally:
        sys.modules.pop("late_plugin", None)


def test_a_class_itself_may_be_registered():
    class Mine(TaskSampler):
        pass

    assert registry_with(entry(target=Mine, kind="sampler")).load("sampler", "mine") is Mine


@pytest.mark.parametrize(
    ("target", "kind", "problem"),
    [
        ("no_such_module_anywhere:X", "algorithm", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("mamlbench.api:NoSuchClass", "algorithm", "AttributeError: .*NoSuchClass"),
        ("mamlbench.api:TaskSampler", "algorithm", r"is not a subclass of mamlbench\.api\.Algorithm"),
        ("mamlbench.api:uniform", "dataset", r"is not a subclass of mamlbench\.api\.Dataset"),
        (Options, "backbone", r"is not a subclass of mamlbench\.api\.Backbone"),
    ],
)
def test_an_unusable_class_is_a_configuration_error_that_names_its_plugin(target, kind, problem):
    with pytest.raises(ConfigError, match=rf"(?s){kind} 'mine' \(a-plugin\).*{problem}"):
        registry_with(entry(target=target, kind=kind)).load(kind, "mine")


def test_a_missing_library_is_reported_in_the_words_of_the_plugin(tmp_path, monkeypatch):
    code = (
        "from mamlbench.errors import MissingDependencyError\nraise MissingDependencyError('run pip install thing')\n"
    )
    (tmp_path / "needs_a_thing.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError) as caught:
        entry(target="needs_a_thing:Class").load()
    assert str(caught.value) == "algorithm 'mine' (a-plugin): run pip install thing"
