"""Which columns a command shows: those of its options, and those of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mamlbench.cli.session import Session
    from mamlbench.plugin import ReportColumn
    from mamlbench.record import RunRecord


def shown_columns(
    session: Session, texts: Sequence[str], sort: str | None, records: Sequence[RunRecord]
) -> tuple[list[str], dict[str, ReportColumn]]:
    """Return the names of the columns to show, and the plugins' columns.

    Plugins are loaded only if needed: some import torch, which tables do not need. The columns of a file named with
    ``--plugin`` are shown by default.
    """
    from mamlbench.report.table.choose_columns import built_in_names, metric_columns

    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    metrics = {metric for record in records if record.test is not None for metric in record.test.metrics}
    built_in = built_in_names() | metric_columns(metrics) | metrics
    requested = {*names, *([sort] if sort else [])}
    if not session.plugin_files and "all" not in requested and requested <= built_in:
        return names, {}
    plugins = session.plugins if session.plugin_files else session.plugins_with_errors()
    for name in plugins.report_columns.keys() & built_in:
        origin = plugins.report_columns[name].origin
        click.echo(f"Column '{name}' of {origin} is not shown: a built-in column has the same name.", err=True)
    plugin_columns = {name: column for name, column in plugins.report_columns.items() if name not in built_in}
    files = {str(path.resolve()) for path in session.plugin_files}
    by_default = [name for name, column in plugin_columns.items() if column.origin in files]
    return names or (["default", *by_default] if by_default else []), plugin_columns
