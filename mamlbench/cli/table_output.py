"""Tables in the format that a command is asked for, on stdout or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.errors import ConfigError

if TYPE_CHECKING:
    from mamlbench.report import Table


def show_tables(tables: Sequence[Table], format_: str, output: Path | None, *, brief: bool = False) -> None:
    """Print tables, brief ones perhaps, or write them in a format."""
    if format_ == "table" and output is None:
        from mamlbench.progress.console import console
        from mamlbench.report.render.terminal import print_tables

        print_tables(tables, console(), brief=brief)
        return
    from mamlbench.report.render import RENDERERS

    write_content(RENDERERS["md" if format_ == "table" else format_](tables), output)
    if format_ == "csv":  # CSV has no place for notes
        for problem in dict.fromkeys(problem for table in tables for problem in table.problems):
            click.echo(problem, err=True)


def write_content(content: str | bytes, output: Path | None) -> None:
    """Write to a file or stdout. Raises ConfigError if the file cannot be written."""
    data = content.encode() if isinstance(content, str) else content
    if output is None:
        click.echo(data, nl=False)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}). Choose another with --output.") from error
    click.echo(f"Written: {output}", err=True)
