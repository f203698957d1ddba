"""Printing: tables and JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.errors import ExitCode
from mamlbench.progress.console import console

if TYPE_CHECKING:
    from rich.table import Table

    from mamlbench.record import Evaluation, Interval, RunRecord


def table(*columns: str) -> Table:
    """Make an empty table in the style of all commands."""
    from rich import box
    from rich.table import Table

    new = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        new.add_column(name, overflow="fold")
    return new


@contextmanager
def working(activity: str) -> Iterator[None]:
    """Show on a terminal that the command is working."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status(f"{activity} ..."):
        yield


def show_records(records: Sequence[RunRecord], folder: Path, *, as_json: bool, missing: int = 0) -> None:
    """Print the table of runs, the location of their records, and their errors."""
    if as_json:
        from mamlbench.record.file_hashes import record_text

        click.echo(json.dumps([json.loads(record_text(record)) for record in records], indent=1))
    else:
        from mamlbench.report import print_table

        print_table(records, console(), brief=True)
    table_was_seen = not as_json and sys.stdout.isatty()
    for record in records:
        if record.reason:
            if not table_was_seen:  # its notes have the reasons
                click.echo(f"{record.name}: {record.status}: {record.reason}", err=True)
            if record.status == "interrupted" and record.checkpoint:
                click.echo(f"To go on from its checkpoint: mamlbench resume {folder / record.name}.json", err=True)
        for notice in record.notices:
            click.echo(f"{record.name}: {notice}", err=True)
        for error in record.listener_errors:
            click.echo(f"{record.name}: an error that did not end the run: {error}", err=True)
    if missing:
        click.echo(f"{missing} more run(s) were not started.", err=True)
    if len(records) == 1:
        click.echo(f"Record: {folder / records[0].name}.json", err=True)
    elif records:
        click.echo(f"{len(records)} records in {folder}/; 'mamlbench report {folder}' shows them again.", err=True)


def exit_code(records: Sequence[RunRecord]) -> ExitCode:
    """The exit code for runs that ended so."""
    statuses = {record.status for record in records}
    if "interrupted" in statuses:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if statuses == {"finished"} else ExitCode.RUN_FAILED


def show_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    """Print one evaluation."""
    if as_json:
        click.echo(evaluation.model_dump_json(indent=1))
        return
    from mamlbench.report.table.doubts import SIGN, evaluation_doubts
    from mamlbench.report.table.groups import disturbance
    from mamlbench.report.table.seen_test_data import seen_in

    protocol = evaluation.protocol
    precision = "" if evaluation.precision == "float32" else f"in {evaluation.precision}"
    harder = disturbance(protocol.label_noise, protocol.corrupt, protocol.imbalance)
    conditions = "".join(f", {text}" for text in (harder, precision) if text)
    seen = seen_in(evaluation)
    rows, notes = table("metric", "mode", "score", "test data", "untrained", "gain"), []
    for name, metric in evaluation.metrics.items():
        for index, (mode, result) in enumerate(metric.modes.items()):
            percent = metric.unit == "%"
            score = _interval(result.score, percent, result.score_new_classes)
            gain = _interval(result.gain, percent, result.gain_new_classes)
            doubts = evaluation_doubts(evaluation, name, mode) if name == evaluation.metric else []
            notes += [f"{SIGN} {mode}: {'; '.join(doubts)}."] if doubts else []
            score += SIGN if doubts else ""
            answer = seen.answer if seen else ""
            rows.add_row("" if index else name, mode, score, answer, _interval(result.untrained, percent), gain)
    out = console()
    out.print(rows)
    out.print(
        f"{protocol.size_text}, {protocol.queries} queries per class, {protocol.test_episodes} "
        f"test episodes (seed {protocol.episode_seed}){conditions}; ±: 95 % confidence interval over episodes"
        + (" of these test classes; in parentheses: for new classes." if evaluation.classes else "."),
        highlight=False,
    )
    notes += [f"Test data {seen.answer}: {'; '.join(seen.reasons)}."] if seen and seen.reasons else []
    for note in notes:
        out.print(note, highlight=False)
    percent = evaluation.unit == "%"
    steps = ", ".join(_number(value, percent) for value in evaluation.score_after_step[:11])
    more = ", ..." if len(evaluation.score_after_step) > 11 else ""
    after = f"After 0, 1, ... of {evaluation.adaptation_steps} adaptation steps"
    out.print(f"{after}: {evaluation.metric} {steps}{more}", highlight=False)


def _interval(value: Interval | None, percent: bool, new_classes: Interval | None = None) -> str:
    if value is None:
        return ""
    half, *wider = ((interval.high - interval.low) / 2 for interval in (value, new_classes) if interval is not None)
    text = f"{_number(value.mean, percent)} ± {_number(half, percent)}"
    return f"{text} ({_number(wider[0], percent)})" if wider else text


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else f"{value:.3g}"
