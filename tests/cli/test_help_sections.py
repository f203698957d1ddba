"""Help pages in sections: every option stands in one of them, and none twice."""

import importlib

import click
import pytest

from mamlbench.cli.help_sections import OTHERS, SECTIONS, SectionedCommand
from mamlbench.cli.main import COMMANDS


def commands():
    for name in COMMANDS:
        command = importlib.import_module(f"mamlbench.cli.commands.{name}").command
        if isinstance(command, SectionedCommand):
            yield pytest.param(command, id=name)


def test_no_option_is_in_two_sections():
    names = [name for text in SECTIONS.values() for name in text.split()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("command", [*commands()])
def test_every_option_is_on_the_page_once(command):
    page = command.get_help(click.Context(command, info_name="x"))
    page = page[min(page.index(f"\n{title}:") for title in (*SECTIONS, OTHERS) if f"\n{title}:" in page) :]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            name = max(parameter.opts, key=len)
            assert sum(line.split()[0].rstrip(",") == name for line in page.splitlines() if line.split()) <= 1
            assert name in page
    assert f"{OTHERS}:" in page
    assert "2147483647" not in page


def test_the_many_options_of_a_run_have_headings(call):
    code, out, _ = call("run", "--help")
    assert code == 0
    order = [
        out.index(f"\n{title}:") for title in ("What is run", "Training", "Test episodes", "Device and speed", OTHERS)
    ]
    assert order == sorted(order)
