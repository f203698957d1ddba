"""The reference is made from its sources, and leaves no hook, argument, command or option out."""

import importlib.util
import inspect
from pathlib import Path

import click
import pytest

from mamlbench.cli.main import COMMANDS, cli
from mamlbench.cli.session import Session
from mamlbench.plugin import PROJECT
from mamlbench.plugin import hookspecs as hooks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
HOOKS = {name: hook for name, hook in vars(hooks).items() if name.startswith(f"{PROJECT}_")}


def section(title):
    """The text under a heading, as far as the next."""
    _, heading, rest = PAGE.partition(f"\n{title}\n")
    assert heading, f"no section '{title}': run python docs/make_reference.py"
    return rest.partition("\n##")[0]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_arguments(name):
    text = section(f"### `{name}`")
    assert inspect.getdoc(HOOKS[name]).splitlines()[0].replace("``", "`") in text
    for argument in inspect.signature(HOOKS[name]).parameters.values():
        assert f"{argument.name}: {argument.annotation}" in text
        explanation = inspect.getdoc(hooks) if argument.name == "register" else text.rpartition("```")[2]
        assert f"`{argument.name}" in explanation.replace("``", "`").replace("='", "`='"), (
            f"{argument.name} is not explained"
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    text = section(f"### `mamlbench {name}`")
    command = cli.get_command(click.Context(cli, obj=Session()), name)
    for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
        assert option in text, "run python docs/make_reference.py"


def test_the_page_is_that_of_its_sources():
    """As far as the commands, whose help click words differently from version to version."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    make_reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_reference)
    expected, page = (text.partition("\n## Commands\n")[0] for text in (make_reference.page(), PAGE))
    assert page == expected, "run python docs/make_reference.py"
