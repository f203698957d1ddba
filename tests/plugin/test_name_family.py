"""Families of names: registered once, used as ``PREFIX:MEMBER``."""

import json

import pytest

from mamlbench.api import Backbone, NameFamily, TaskSampler
from mamlbench.errors import ConfigError, ExitCode, MissingDependencyError
from mamlbench.plugin import Entry, Registry

PLUGIN = '''
from mamlbench.api import Backbone, ConfigError, NameFamily, Options, hookimpl
from pydantic import Field
from torch import nn


class Widths(Backbone, NameFamily):
    """A linear layer of a width by its name in English."""

    class Options(Options):
        scale: float = Field(1.0, description="nothing")

    @classmethod
    def known_members(cls):
        return ("three", "seven")

    def features(self, input_shape):
        width = {"three": 3, "seven": 7}[self.member]
        if len(input_shape) != 3:
            raise ConfigError("images only")
        inputs = input_shape[0] * input_shape[1] * input_shape[2]
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width)), width


@hookimpl
def mamlbench_register_backbones(register):
    register("wide", Widths, member="WORD", summary="as wide as a word says")
'''


class Open(Backbone, NameFamily):
    """Takes every member."""

    def features(self, input_shape):
        raise NotImplementedError


class Known(Open):
    """Has two members."""

    @classmethod
    def known_members(cls):
        return {"resnet18", "vit_tiny"}


class NeedsLibrary(Open):
    """Has a library that is missing."""

    @classmethod
    def known_members(cls):
        raise MissingDependencyError("it needs a library: pip install library")


class Crashes(Open):
    """Has a mistake."""

    @classmethod
    def known_members(cls):
        return {}["nothing"]


def family(target=Open, prefix="zoo", word="NAME", kind="backbone"):
    return Entry(kind, f"{prefix}:{word}", target, "", "a-plugin", word)


def registry_with(*entries):
    registry = Registry()
    registry.add_all(entries)
    return registry


def test_a_member_is_one_subclass_that_knows_its_name():
    registry = registry_with(family())
    plugin = registry.load("backbone", "zoo:resnet18")
    assert issubclass(plugin, Open) and plugin.member == "resnet18" and plugin.__doc__ == Open.__doc__
    assert registry.load("backbone", "zoo:resnet18") is plugin
    assert registry.load("backbone", "zoo:a/b:c.safetensors").member == "a/b:c.safetensors"
    assert Open.member == ""


def test_it_is_listed_once_and_has_no_end_of_names():
    registry = registry_with(family(), Entry("backbone", "plain", Open, "", "a-plugin"))
    assert [(entry.name, entry.prefix) for entry in registry.entries("backbone")] == [
        ("plain", ""),
        ("zoo:NAME", "zoo:"),
    ]
    assert registry.names("backbone") == ["plain"]
    assert registry.entry("backbone", "zoo:x") == Entry("backbone", "zoo:x", Open, "", "a-plugin", member="x")
    assert [entry.name for entry in registry.find_all("zoo:x")] == ["zoo:x"]
    assert [entry.name for entry in registry.find_all("zoo")] == ["zoo:NAME"]
    assert registry.entries("backbone")[1].load() is Open


def test_a_name_of_its_own_goes_before_a_family():
    registry = registry_with(family(), Entry("backbone", "zoo:mine", Known, "", "another"))
    assert registry.load("backbone", "zoo:mine") is Known


@pytest.mark.parametrize(
    ("target", "name", "answer"),
    [
        (Known, "zoo:resnet19", r"backbone 'zoo:resnet19': there is no 'resnet19'. Did you mean 'resnet18'\?"),
        (Known, "zoo:ResNet18", r"Did you mean 'resnet18'\?"),
        (Known, "zoo:qqqqqqq", r"there is no 'qqqqqqq'. Known: resnet18, vit_tiny\."),
        (Known, "zoo", "backbone 'zoo' stands for many: write a name in place of NAME"),
        (Known, "zoo:", "backbone 'zoo:' stands for many"),
        (Known, "zoo:NAME", "backbone 'zoo:NAME' stands for many"),
        (Known, "zo:NAME", r"Unknown backbone 'zo:NAME'. Did you mean 'zoo:NAME'\?"),
        (Crashes, "zoo:x", r"backbone 'zoo:x' \(a-plugin\) cannot be made: KeyError: 'nothing'"),
        (Backbone, "zoo:x", r"is a family of names, and not a subclass of mamlbench\.api\.NameFamily"),
        (TaskSampler, "zoo:x", r"is not a subclass of mamlbench\.api\.Backbone"),
    ],
)
def test_what_cannot_be_had_is_explained(target, name, answer):
    with pytest.raises(ConfigError, match=answer):
        registry_with(family(target)).load("backbone", name)


def test_many_members_are_counted_and_a_missing_library_is_named():
    many = type("Many", (Open,), {"known_members": classmethod(lambda cls: [f"n{i:03}" for i in range(300)])})
    with pytest.raises(ConfigError, match=r"there is no 'zzzzzz'\. It has 300 others\."):
        registry_with(family(many)).load("backbone", "zoo:zzzzzz")
    with pytest.raises(MissingDependencyError, match=r"backbone 'zoo:x' \(a-plugin\): it needs a library: pip"):
        registry_with(family(NeedsLibrary)).load("backbone", "zoo:x")


@pytest.mark.parametrize(("prefix", "word"), [("", "NAME"), (" ", "NAME"), ("a:b", "NAME")])
def test_a_prefix_is_a_word_without_a_colon(prefix, word):
    with pytest.raises(ValueError, match="is not PREFIX:MEMBER, with one colon"):
        registry_with(family(prefix=prefix, word=word))


@pytest.mark.slow
def test_the_command_line_lists_describes_and_runs_a_member(project):
    file = str(project.write(wide=PLUGIN))
    (listed,) = [
        row for row in project.run("list", "backbones", "--plugin", file, "--json").json() if row["origin"] == file
    ]
    assert listed["name"] == "wide:WORD" and listed["placeholder"] == "WORD"
    shown = project.run("info", "wide:WORD", "--plugin", file).out
    assert "as wide as a word says" in " ".join(shown.split())
    (described,) = project.run("info", "wide:three", "--plugin", file, "--json").json()
    assert described["name"] == "wide:three" and described["options"][0]["name"] == "scale"
    arguments = ("run", "--algo", "protonet", "--plugin", file, "--iterations", "1", "--meta-batch-size", "2", "-q")
    arguments += ("--validation-episodes", "2", "--test-episodes", "2", "--device", "cpu")
    project.run(*arguments, "--backbone", "wide:seven", "-o", "backbone.scale=2")
    (record,) = project.records()
    assert record.spec.backbone.name == "wide:seven" and record.spec.backbone.options == {"scale": 2.0}
    wrong = project.run(*arguments, "--backbone", "wide:sevn", expect=ExitCode.USAGE)
    assert "Did you mean 'seven'?" in wrong.err


def test_a_family_is_checked_by_a_member(project):
    file = str(project.write(wide=PLUGIN))
    checked = project.run("check", "wide:three", "--plugin", file).out
    assert "wide:three: " in checked, "':three:' is no emoji"
    refused = project.run("check", file, expect=ExitCode.NOTHING)
    assert "no checks" in refused.err or "write a name" in refused.err


def test_the_schema_takes_any_member_and_no_other_prefix(project):
    from jsonschema import Draft202012Validator

    file = str(project.write(wide=PLUGIN))
    suite = Draft202012Validator(json.loads(project.run("schema", "suite", "--plugin", file).out))
    assert suite.is_valid({"algorithm": "maml", "backbone": ["wide:three", "mlp"]})
    assert not suite.is_valid({"algorithm": "maml", "backbone": "wider:three"})
    assert not suite.is_valid({"algorithm": "maml", "backbone": "wide:"})
