"""Module and class names derived from a plugin's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import ConfigError
from mamlbench.scaffold import PluginNames, plugin_names_for


def test_the_names_of_module_and_class():
    assert plugin_names_for("my-method2") == PluginNames("my-method2", "my_method2", "MyMethod2")


@pytest.mark.parametrize(
    "name, message",
    [
        ("MyMethod", "Did you mean 'my-method'?"),
        ("my_method", "Did you mean 'my-method'?"),
        ("2nd", "is not a valid name"),
        ("a" * 31, "at most 30"),
        ("", "is not a valid name"),
        ("../up", "Did you mean 'up'?"),
        ("class", "would shadow another"),
        ("torch", "such as 'torch-maml'"),
        ("json", "would shadow another"),
    ],
)
def test_invalid_names_are_rejected_with_a_suggestion(name, message):
    with pytest.raises(ConfigError) as caught:
        plugin_names_for(name)
    assert message in str(caught.value)


@given(st.lists(st.text("abixsz019", min_size=1, max_size=8), min_size=1, max_size=3).map("-".join))
def test_accepted_names_are_identifiers(name):
    try:
        names = plugin_names_for(name)
    except ConfigError as error:
        assert name[0].isdigit() or "would shadow another" in str(error)
        return
    assert names.module.isidentifier() and names.cls.isidentifier() and names.cls[0].isupper()
