"""Declarations of what tuning tries."""

from typing import Annotated

import pytest
from pydantic import Field

from mamlbench.api import IntRange, LogUniform, OneOf, Options, Uniform
from mamlbench.plugin import load_plugins
from mamlbench.run_spec.search_space import hash_of_facts, search_space, space_facts


class Declared(Options):
    """Options of which some say what to try."""

    rate: Annotated[float, LogUniform(1e-3, 1.0)] = Field(0.1, gt=0, description="a rate")
    steps: Annotated[int, IntRange(1, 50, log=True)] = 5
    share: Annotated[float | None, Uniform(0.0, 1.0)] = None
    kind: Annotated[str, OneOf("a", "b")] = "a"
    fixed: int = 3


class Inherits(Declared):
    """Has another range for one option, and none for another."""

    rate: Annotated[float, LogUniform(0.01, 0.1)] = 0.1
    steps: int = 5


def test_declarations_are_found_in_the_order_of_the_fields():
    assert search_space(Declared) == {
        "rate": LogUniform(1e-3, 1.0),
        "steps": IntRange(1, 50, log=True),
        "share": Uniform(0.0, 1.0),
        "kind": OneOf("a", "b"),
    }
    assert search_space(Options) == {}


def test_a_subclass_declares_another_range_or_none():
    space = search_space(Inherits)
    assert space["rate"] == LogUniform(0.01, 0.1) and "steps" not in space and "share" in space


def test_a_declaration_changes_nothing_else_about_an_option():
    assert Declared().model_dump() == {"rate": 0.1, "steps": 5, "share": None, "kind": "a", "fixed": 3}
    with pytest.raises(ValueError, match="greater than 0"):
        Declared(rate=-1)
    assert Declared(rate=1e6).rate == 1e6, "the range is where tuning looks, not a limit"


@pytest.mark.parametrize(
    "declare",
    [
        lambda: LogUniform(0.0, 1.0),
        lambda: LogUniform(1.0, 1.0),
        lambda: LogUniform(2.0, 1.0),
        lambda: Uniform(1.0, 0.5),
        lambda: Uniform(float("nan"), 0.5),
        lambda: IntRange(3, 3),
        lambda: IntRange(0, 3, log=True),
        lambda: OneOf("a"),
        OneOf,
    ],
)
def test_an_impossible_range_is_refused_where_it_is_declared(declare):
    with pytest.raises(ValueError, match=r"low < high is needed|two values or more"):
        declare()


def test_the_hash_is_of_kinds_and_limits():
    facts = space_facts(search_space(Declared))
    assert facts["steps"] == {"kind": "IntRange", "low": 1, "high": 50, "log": True}
    assert facts["kind"] == {"kind": "OneOf", "values": ["a", "b"]}
    others = {
        hash_of_facts(space_facts({"rate": item})) for item in (LogUniform(1, 2), Uniform(1, 2), LogUniform(1, 3))
    }
    assert len(others) == 3


def test_every_built_in_method_declares_what_to_tune_and_its_preset_lies_inside():
    registry = load_plugins().registry
    for entry in registry.entries("algorithm"):
        if entry.origin != "mamlbench":
            continue
        plugin = entry.load()
        space = search_space(plugin.Options)
        assert space, entry.name
        for preset in (preset for preset in plugin.presets if preset.name == "quick" and preset.dataset is None):
            values = plugin.Options(**preset.options)
            for name, item in space.items():
                value = getattr(values, name)
                inside = (
                    value in item.values if isinstance(item, OneOf) else value is None or item.low <= value <= item.high
                )
                assert inside, f"{entry.name}: {name}={value} is outside of {item}"
