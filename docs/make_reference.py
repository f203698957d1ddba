"""Write docs/reference.md from the hooks, the command line, the options of what ships, and the contract kit.

    python docs/make_reference.py

A test compares the page with what this would write.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mamlbench.cli.commands.info import describe
from mamlbench.cli.main import COMMANDS, cli
from mamlbench.errors import ExitCode
from mamlbench.plugin import PROJECT, Entry, load_plugins
from mamlbench.plugin import hookspecs as hooks
from mamlbench.testing import CHECKS

PAGE = Path(__file__).with_name("reference.md")
WIDTH = 100
EXIT_CODES = {
    ExitCode.OK: "everything was done",
    ExitCode.REGRESSION: "a regression, a contract that is not kept, or a check that failed",
    ExitCode.INTERRUPTED: "interrupted; what was running left its record",
    ExitCode.INTERNAL: "a mistake in mamlbench or a plugin: run again with `--debug`",
    ExitCode.USAGE: "usage, configuration or data: the message says what to do",
    ExitCode.NOTHING: "nothing was run, or something cannot be compared or checked",
    ExitCode.RUN_FAILED: "a run failed or diverged; its record says why",
}
LINE_LENGTH = 120


def page() -> str:
    """The whole page."""
    parts = [
        "# Reference\n\nWritten by `python docs/make_reference.py`; change the sources, not this page. For a way in "
        "see the [tutorial](tutorial.md).",
        "## Hooks\n\n" + _paragraphs(hooks.__doc__),
        *(_hook(name, hook) for name, hook in vars(hooks).items() if name.startswith(f"{PROJECT}_")),
        "## Contract checks\n\n`mamlbench check NAME` runs these; `mamlbench.testing.CHECKS` has them for a plugin's "
        "own tests.",
        *(_checks(kind) for kind in CHECKS),
        "## What ships\n\nA preset may set other values than these defaults; `mamlbench info NAME` shows presets too.",
        *(_entry(entry) for entry in _shipped()),
        "## Commands",
        *(_command(name) for name in COMMANDS),
        "## Exit codes\n\n| code | meaning |\n|---|---|\n"
        + "\n".join(f"| {code.value} | {EXIT_CODES[code]} |" for code in ExitCode),
    ]
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("``", "`")


def _hook(name: str, hook: Any) -> str:
    parameters = inspect.signature(hook).parameters.values()
    arguments = ", ".join(f"{parameter.name}: {parameter.annotation}" for parameter in parameters)
    signature = f"def {name}({arguments}): ..."
    if len(signature) > LINE_LENGTH:  # as ruff formats it
        signature = f"def {name}(\n    {arguments}\n): ..."
    return f"### `{name}`\n\n```python\n{signature}\n```\n\n{_paragraphs(hook.__doc__)}"


def _checks(kind: str) -> str:
    rows = "\n".join(f"| {check.name} | {_cell(check.requirement)} | {_cell(check.hint)} |" for check in CHECKS[kind])
    article = "an" if kind[0] in "aeiou" else "a"
    return f"### Of {article} {kind}\n\n| check | requirement | hint |\n|---|---|---|\n{rows}"


def _shipped() -> Iterator[Entry]:
    """Entries of this distribution: what else happens to be installed here is left out."""
    for kind in (*CHECKS, "launcher"):
        yield from (entry for entry in load_plugins().registry.entries(kind) if entry.origin == "mamlbench")


def _entry(entry: Entry) -> str:
    description = describe(entry)
    title = f"### {entry.kind} `{entry.name}`\n\n{entry.summary[:1].upper()}{entry.summary[1:]}."
    if not description["options"]:
        return f"{title} No options."
    prefix = "" if entry.kind == "algorithm" else f"{entry.kind}."
    tuned = any("tuning" in option for option in description["options"])
    rows = [
        f"| `{prefix}{option['name']}` | `{json.dumps(option['default'])}` | {_cell(option['type'])} | "
        f"{_cell(option.get('tuning', '')) + ' | ' if tuned else ''}{_cell(option['description'])} |"
        for option in description["options"]
    ]
    table = "\n".join(rows)
    names = ["option", "default", "type", *(["tuning tries"] if tuned else []), "what it does"]
    return f"{title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}\n{table}"


def _command(name: str) -> str:
    context = click.Context(cli, info_name="mamlbench", max_content_width=WIDTH, terminal_width=WIDTH)
    command = cli.get_command(context, name)
    assert command is not None
    own = click.Context(command, info_name=name, parent=context, max_content_width=WIDTH, terminal_width=WIDTH)
    return f"### `mamlbench {name}`\n\n```text\n{command.get_help(own).strip()}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
