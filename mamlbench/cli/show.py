"""What commands print: tables and JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mamlbench.record import Evaluation, Interval, RunRecord

PIPE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe, where there is no terminal to ask."""


def console(*, stderr: bool = False) -> Console:
    """A rich console; into a pipe it writes plain text of a fixed width."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE_WIDTH)


def table(*columns: str) -> Table:
    """An empty table in the house's style."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something is being done."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status(f"{what} ..."):
        yield


def show_records(records: Sequence[RunRecord], folder: Path, *, as_json: bool, missing: int = 0) -> None:
    """Print the table of some runs, where their records are, and what went wrong."""
    if as_json:
        click.echo(json.dumps([record.model_dump(mode="json") for record in records], indent=1))
    else:
        from mamlbench.report import print_table

        print_table(records, console())
    for record in records:
        if record.reason:
            click.echo(f"{record.name}: {record.status}: {record.reason}", err=True)
        for error in record.listener_errors:
            click.echo(f"{record.name}: a listener failed: {error}", err=True)
    if missing:
        click.echo(f"{missing} more run(s) were not started.", err=True)
    if len(records) == 1:
        click.echo(f"Record: {folder / records[0].name}.json", err=True)
    elif records:
        click.echo(f"{len(records)} records in {folder}/; 'mamlbench report {folder}' shows them again.", err=True)


def show_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    """Print one evaluation."""
    if as_json:
        click.echo(evaluation.model_dump_json(indent=1))
        return
    protocol = evaluation.protocol
    precision = "" if evaluation.precision == "float32" else f", in {evaluation.precision}"
    rows = table("metric", "mode", "score", "untrained", "gain")
    for name, metric in evaluation.metrics.items():
        for place, (mode, result) in enumerate(metric.modes.items()):
            cells = (_interval(each, metric.unit == "%") for each in (result.score, result.untrained, result.gain))
            rows.add_row("" if place else name, mode, *cells)
    out = console()
    out.print(rows)
    out.print(
        f"{protocol.ways}-way {protocol.shots}-shot, {protocol.queries} queries per class, {protocol.test_episodes} "
        f"test episodes (seed {protocol.episode_seed}){precision}; ± is a 95 % interval over episodes.",
        highlight=False,
    )
    share = evaluation.unit == "%"
    steps = ", ".join(_number(value, share) for value in evaluation.score_after_step[:11])
    more = ", ..." if len(evaluation.score_after_step) > 11 else ""
    after = f"After 0, 1, ... of {evaluation.adaptation_steps} adaptation steps"
    out.print(f"{after}: {evaluation.metric} {steps}{more}", highlight=False)


def _interval(value: Interval | None, share: bool) -> str:
    if value is None:
        return ""
    half = (value.high - value.low) / 2
    return f"{_number(value.mean, share)} ± {_number(half, share)}"


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.3g}"
