"""Every command, flag and option that a page shows exists."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mamlbench.cli.commands.info import describe
from mamlbench.cli.main import COMMANDS, cli
from mamlbench.cli.session import Session
from mamlbench.plugin import load_plugins
from mamlbench.testing import CHECKS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/how-to/*.md", "results/*.md", "plugins/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name not in {"reference.md", "changelog.md", "contributing.md"}
)
OF_PAGES = {"pull", "workers", "tasks", "until"}
"""Options that the example plugins of the pages declare."""


def commands(text):
    """Every ``mamlbench ...`` in a shell block or between backticks, as words."""
    shell = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`([^`]+)`(?!`)", text.replace("\n", " "))
    for line in (*shell, *inline):
        for part in re.split(r";|&&", line):
            match = re.search(r"(?:^|[\s/])(mamlbench [a-z].*)$", part.strip())
            if match:
                yield shlex.split(match[1], comments=True)[1:]


@pytest.fixture(scope="module")
def options():
    """Names that ``-o`` takes, of everything that ships."""
    names = set(OF_PAGES)
    for entry in load_plugins().registry.entries():
        if entry.kind in {*CHECKS, "launcher"} and entry.origin == "mamlbench":
            names |= {option["name"] for option in describe(entry)["options"]}
    return names


def parameters(words):
    """The flags of the command that the words begin with, and the words after its name."""
    command = cli.get_command(click.Context(cli, obj=Session()), words[0])
    rest = words[1:]
    if isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return names | {"--help", "-h"}, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_flag_and_option_shown_exists(page, options):
    for words in commands(page.read_text(encoding="utf-8")):
        assert words[0] in COMMANDS, f"{page.name}: mamlbench {words[0]}"
        known, rest = parameters(words)
        for number, word in enumerate(rest):
            name, _, value = word.partition("=")
            if re.fullmatch(r"--?[a-z][\w-]*", name) and name not in {"-o", "--option"}:
                assert name in known, f"{page.name}: {name} of mamlbench {words[0]}"
            elif number and rest[number - 1] in {"-o", "--option"} and value:
                assert name.rpartition(".")[2] in options, f"{page.name}: -o {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_option_between_backticks_exists(page, options):
    shown = re.findall(r"`-o ([\w.]+)=[^`]*`", page.read_text(encoding="utf-8"))
    assert not [name for name in shown if name.rpartition(".")[2] not in options]


def test_the_pages_show_commands():
    shown = [words for page in PAGES for words in commands(page.read_text(encoding="utf-8"))]
    assert len(shown) > 80
    assert {"run", "suite", "compare", "report", "check", "bench", "adapt"} <= {words[0] for words in shown}
