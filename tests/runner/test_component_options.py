"""Options of components: a user's values become a spec, and a spec becomes a plugin's options."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from mamlbench.api import Options
from mamlbench.errors import ConfigError
from mamlbench.run_spec import Component
from mamlbench.runner.component_options import complete_component, read_options, split_options, stored_options


class Plugin:
    """Has an option of every kind."""

    class Options(Options):
        """Options of it."""

        rate: float = Field(0.5, gt=0)
        steps: int | None = 3
        name: str = "plain"
        mode: Literal["none", "all"] = "all"
        sizes: tuple[int, ...] = (1, 2)
        flag: bool = False


def complete(values=(), **changes):
    return complete_component("backbone", Plugin, "mine", dict(values), changes)


def test_every_option_is_filled_in_as_json_has_it():
    assert complete().options == json.loads(json.dumps(Plugin.Options().model_dump(mode="json")))
    assert complete().name == "mine"


def test_text_of_a_user_is_read_as_json_and_wins_over_other_values():
    component = complete({"rate": 0.1, "name": "preset"}, rate="0.25", sizes="[3, 4]", flag="true", steps="none")
    assert component.options == {
        "rate": 0.25,
        "steps": None,
        "name": "preset",
        "mode": "all",
        "sizes": [3, 4],
        "flag": True,
    }


def test_none_is_a_word_unless_the_option_has_it_as_a_value():
    assert complete(mode="none").options["mode"] == "none"
    assert complete(steps="None").options["steps"] is None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "rate": st.floats(0.01, 1e6),
            "steps": st.none() | st.integers(),
            "name": st.text() | st.sampled_from(["none", "true", "1", "[1]"]),
            "mode": st.sampled_from(["none", "all"]),
            "sizes": st.lists(st.integers(), max_size=3).map(tuple),
            "flag": st.booleans(),
        },
    )
)
def test_a_spec_gives_the_options_back_that_it_was_made_of(values):
    component = complete(values)
    again = Component.model_validate_json(component.model_dump_json())
    options = stored_options("backbone", Plugin, again)
    assert options == Plugin.Options(**values)
    assert complete(component.options) == component, "completing it again changes nothing"


def test_every_problem_is_named_as_the_user_writes_it():
    with pytest.raises(ConfigError) as caught:
        complete(rate="-1", stepz="3")
    assert sorted(problem.key for problem in caught.value.problems) == [
        "options.backbone.rate",
        "options.backbone.stepz",
    ]
    assert any("Did you mean 'steps'?" in problem for problem in caught.value.problems)


def test_stored_options_of_another_release_are_refused():
    with pytest.raises(ConfigError, match="has no option 'gone'"):
        stored_options("algorithm", Plugin, Component(name="mine", options={"gone": 1}))


def test_options_that_are_read_are_the_plugins_own():
    assert read_options("launcher", Plugin, "mine", {"steps": "7"}) == Plugin.Options(steps=7)


def test_options_are_sorted_by_component():
    by_component = split_options({"rate": 1, "algorithm.steps": 2, "backbone.width": 3, "dataset.turn": 4})
    assert by_component == {
        "algorithm": {"rate": 1, "steps": 2},
        "backbone": {"width": 3},
        "dataset": {"turn": 4},
        "sampler": {},
    }
    with pytest.raises(ConfigError, match=r"no part 'bakbone'\. Did you mean 'backbone'"):
        split_options({"bakbone.width": 1})


@pytest.mark.parametrize("value", ["pics\udcff", '"\\udcff"', ["a", "\ud800"], {"a": {"b": "\udcff"}}])
def test_text_that_no_record_could_have_is_refused(value):
    """As an argument of bytes that no encoding explains."""
    with pytest.raises(ConfigError, match="backbone 'mine': option 'name': its text is not UTF-8"):
        complete(name=value)
    with pytest.raises(ConfigError, match="its text is not UTF-8"):
        stored_options("backbone", Plugin, Component(name="mine", options={"name": json.loads(json.dumps("\udcff"))}))
    assert complete(name="имя 名前").options["name"] == "имя 名前"
