"""The output of ``mamlbench speedrun``: targets, rules, entries, results and the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli.show import table
from mamlbench.progress.console import console

if TYPE_CHECKING:
    from mamlbench.bench.speedrun import SpeedrunVerdict
    from mamlbench.plugin import Entry
    from mamlbench.record.speedrun_target import SpeedrunTarget


def show_targets(entries: Sequence[Entry], *, as_json: bool) -> None:
    """Print the registered targets."""
    if as_json:
        _echo_json([{"name": entry.name, "summary": entry.summary, "origin": entry.origin} for entry in entries])
        return
    rows = table("target", "summary", "from")
    for entry in entries:
        rows.add_row(entry.name, entry.summary, entry.origin)
    console().print(rows)


def show_target(target: SpeedrunTarget, ledger: Sequence[SpeedrunVerdict], *, as_json: bool) -> None:
    """Print the rules of a target, its entries, and the ledger, the fastest first."""
    if as_json:
        _echo_json({"target": target.model_dump(mode="json"), "ledger": [_as_dict(verdict) for verdict in ledger]})
        return
    out = console()
    out.print(f"[bold]{target.name}[/]: {target.about}", highlight=False)
    seeds = f"The mean over {target.seeds} training seeds must be above {target.score:.0%} with p < {target.level:g}."
    out.print(seeds, highlight=False)
    for track in target.track:
        out.print(f"Track {track.name}: {track.rule} Baseline: {track.baseline}.", highlight=False)
    rows = table("entry", "track", "what it changes", "author", "date")
    rows.columns[0].no_wrap = True
    for entry in target.entry:
        rows.add_row(entry.name, entry.track, entry.about, entry.author, entry.date)
    out.print(rows)
    if ledger:
        out.print("Ledger", style="bold")
        out.print(_results(_fastest_first(ledger)))


def show_results(target: SpeedrunTarget, verdicts: Sequence[SpeedrunVerdict], *, as_json: bool) -> None:
    """Print what was measured of entries that ran by turns."""
    if as_json:
        _echo_json([_as_dict(verdict) for verdict in verdicts])
        return
    out = console()
    out.print(f"{target.name}: {target.about}", highlight=False)
    out.print(_results(verdicts))
    if load := verdicts[0].result.load:
        out.print(f"Meanwhile {load}.", highlight=False)


def _results(verdicts: Iterable[SpeedrunVerdict]) -> Any:
    rows = table("entry", "track", "seeds", "test, %", "p", "training, s", "CPU s", "target", "date", "machine")
    rows.columns[0].no_wrap = True
    for verdict in verdicts:
        result, trials = verdict.result, verdict.result.trials
        device = sum(trial.device_seconds for trial in trials) / len(trials)
        machine = result.environment
        rows.add_row(
            result.entry.name,
            result.entry.track,
            str(len(trials)),
            f"{100 * verdict.score:.2f} ± {100 * verdict.deviation:.2f}",
            f"{verdict.p:.2g}",
            f"{verdict.training_seconds:.0f}",
            f"{device:.0f}",
            "reached" if verdict.reached and not verdict.reason else verdict.reason,
            result.date,
            f"{machine.device_name or machine.cpu}, {machine.threads} threads",
        )
    return rows


def _fastest_first(verdicts: Iterable[SpeedrunVerdict]) -> list[SpeedrunVerdict]:
    return sorted(verdicts, key=lambda v: (v.result.entry.track, not v.reached, v.training_seconds))


def _as_dict(verdict: SpeedrunVerdict) -> dict[str, Any]:
    fields = asdict(verdict)
    return {**fields, "result": verdict.result.model_dump(mode="json")}


def _echo_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1))
