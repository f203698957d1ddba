import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import ConfigError
from mamlbench.scaffold import Names, names_of


def test_a_name_gives_those_of_module_and_class():
    assert names_of("my-method2") == Names("my-method2", "my_method2", "MyMethod2")


@pytest.mark.parametrize(
    "name, said",
    [
        ("MyMethod", "Did you mean 'my-method'?"),
        ("my_method", "Did you mean 'my-method'?"),
        ("2nd", "is not a name"),
        ("a" * 31, "at most 30"),
        ("", "is not a name"),
        ("../up", "Did you mean 'up'?"),
        ("class", "would stand in Python's way"),
        ("torch", "try 'torch-maml'"),
        ("json", "would stand in Python's way"),
    ],
)
def test_other_names_are_refused_with_a_suggestion(name, said):
    with pytest.raises(ConfigError) as caught:
        names_of(name)
    assert said in str(caught.value)


@given(st.lists(st.text("abixsz019", min_size=1, max_size=8), min_size=1, max_size=3).map("-".join))
def test_what_is_accepted_can_be_imported_and_is_a_class_name(name):
    try:
        names = names_of(name)
    except ConfigError as error:
        assert name[0].isdigit() or "Python's way" in str(error)
        return
    assert names.module.isidentifier() and names.cls.isidentifier() and names.cls[0].isupper()
