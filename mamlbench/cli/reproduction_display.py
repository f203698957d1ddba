"""The output of ``mamlbench reproduce``: the list, the plan, and the verdicts beside the published numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli.show import table
from mamlbench.plugin.reproductions import Reproducible
from mamlbench.progress.console import console
from mamlbench.record.reproduction import SEPARATOR

if TYPE_CHECKING:
    from mamlbench.plugin import Plugins
    from mamlbench.record import PublishedNumber
    from mamlbench.record.reproduction import PlannedReproduction
    from mamlbench.report.reproduction.verdict import ReproductionVerdict
    from mamlbench.run_spec import Preset, RunSpec
    from mamlbench.runner.reproduction_cost import ReproductionCost

MISTAKE = "†"
"""Marks the score of a reading that repeats a mistake of the original."""


def show_list(entries: Iterable[Reproducible]) -> None:
    """Print the reproductions with their numbers and readings."""
    rows = table("name", "published", "algorithm", "readings", "system or source")
    rows.columns[0].no_wrap = True
    for reproduction, number in entries:
        wrong = {variant.name for variant in reproduction.variants if variant.mistake}
        wrong |= {reproduction.reading} if reproduction.mistake else set()
        readings = ", ".join(f"{name}{MISTAKE}" if name in wrong else name for name in reproduction.readings)
        source = reproduction.system or number.source.split(",")[0]
        name = f"{reproduction.name}{MISTAKE if reproduction.mistake else ''}"
        cells = (name, published(number), reproduction.algorithm or number.algorithm, readings, source)
        rows.add_row(*map(_escape, cells))
    out = console()
    out.print(rows)
    out.print(
        f"{MISTAKE} repeats a mistake of the original. 'mamlbench reproduce NAME --dry-run' shows settings and cost.",
        highlight=False,
    )


def list_as_json(entries: Iterable[Reproducible]) -> str:
    """Return the reproductions with their numbers as JSON."""
    return _json(
        [{**entry.model_dump(mode="json"), "published": number.model_dump(mode="json")} for entry, number in entries]
    )


def published(number: PublishedNumber) -> str:
    """The number as its source prints it, with its unit."""
    return f"{number.printed} {number.unit}".strip()


def show_plan(planned: Sequence[PlannedReproduction], costs: Sequence[ReproductionCost], plugins: Plugins) -> None:
    """Print every setting, readings side by side, with where it comes from; what differs from the source; the cost."""
    from mamlbench.runner.plan_reproduction import preset_of

    out = console()
    for entry in planned:
        out.print(f"[bold]{_escape(entry.name)}[/]: {_escape(_headline(entry))}", highlight=False)
    columns = [settings(entry.specs[0]) for entry in planned]
    origins = [_origins(entry, preset_of(entry, plugins)) for entry in planned]
    names = [entry.name.rpartition(SEPARATOR)[2] for entry in planned] if len(planned) > 1 else ["value"]
    rows = table("setting", *names, "from")
    for name in dict.fromkeys(name for column in columns for name in column):
        values = [_text(column[name]) if name in column else "" for column in columns]
        sources = dict.fromkeys(origin.get(name, "default") for origin in origins)
        style = "bold" if len(set(values)) > 1 else None
        rows.add_row(name, *map(_escape, values), ", ".join(sources), style=style)
    out.print(rows)
    remarks = [line for entry in planned for line in _remarks(entry)]
    costs_of = [line for entry, cost in zip(planned, costs, strict=True) for line in _cost_lines(entry, cost)]
    for line in dict.fromkeys((*remarks, *costs_of)):
        out.print(_escape(line), highlight=False)


def plan_as_json(planned: Sequence[PlannedReproduction], costs: Sequence[ReproductionCost]) -> str:
    """Return the plans of all readings as JSON."""
    return _json([{**_plan(entry), "cost": asdict(cost)} for entry, cost in zip(planned, costs, strict=True)])


def settings(spec: RunSpec) -> dict[str, Any]:
    """Return every setting of a run, one level deep: names as on the command line and in presets."""
    parts: dict[str, Any] = {"algorithm": spec.algorithm.name, **spec.algorithm.options}
    for kind in ("dataset", "backbone", "sampler"):
        component = getattr(spec, kind)
        parts[kind] = component.name
        parts |= {f"{kind}.{name}": value for name, value in component.options.items()}
    training = spec.training.model_dump(mode="json", exclude={"ways", "shots", "queries", "log_every"})
    parts |= {f"train_{name}": getattr(spec.training, name) for name in ("ways", "shots", "queries")}
    return {**parts, **training, **spec.protocol.model_dump(mode="json"), "device": spec.device, "engine": spec.engine}


def _origins(entry: PlannedReproduction, preset: Preset) -> dict[str, str]:
    """Where settings come from that are no defaults, by name."""
    origins = dict.fromkeys(("algorithm", "dataset", "ways", "shots"), "published number")
    by_preset = preset.model_dump(exclude_defaults=True)
    for prefix, key in (("", "options"), ("backbone.", "backbone_options"), ("dataset.", "dataset_options")):
        origins |= {f"{prefix}{name}": f"preset {preset.name}" for name in by_preset.get(key, {})}
    origins |= {f"sampler.{name}": f"preset {preset.name}" for name in by_preset.get("sampler_options", {})}
    plain = ("iterations", "meta_batch_size", "train_ways", "train_shots", "train_queries", "backbone", "sampler")
    origins |= {name: f"preset {preset.name}" for name in plain if name in by_preset}
    origins |= dict.fromkeys(preset.protocol, f"preset {preset.name}")
    layers = ((entry.reproduction, "reproduction"), (entry.variant, f"reading {entry.name.rpartition(':')[2]}"))
    for layer, origin in layers:
        if layer is not None:
            fields = layer.model_fields_set & {"algorithm", "queries", "test_episodes", *plain}
            origins |= dict.fromkeys((*fields, *layer.options), origin)
    if entry.scale != 1:
        origins |= dict.fromkeys(("iterations", *entry.reproduction.per_iteration), f"--scale {entry.scale:g}")
    return origins


def show_verdicts(
    planned: Sequence[PlannedReproduction], verdicts: Sequence[ReproductionVerdict], folder: Path
) -> None:
    """Print the published number beside ours, and the verdict, one row for each reading."""
    rows = table("name", "mode", "published", "here", "difference (90 %)", "margin", "verdict")
    rows.columns[0].no_wrap = rows.columns[-1].no_wrap = True
    for verdict in verdicts:
        mark = MISTAKE if verdict.mistake else ""
        margin = f"{verdict.margin:g} {'pp' if verdict.number.unit == '%' else ''}".strip()
        cells = (verdict.name + mark, verdict.mode, published(verdict.number), f"{_ours(verdict)}{mark}")
        rows.add_row(*map(_escape, (*cells, _difference(verdict), margin, verdict.kind)))
    out = console()
    out.print(rows)
    lines = [f"{verdict.name}: {verdict.scale_text}" for verdict in verdicts if verdict.scale_text]
    lines += [
        f"{verdict.name}: {verdict.kind}: {'; '.join(verdict.reasons)}." for verdict in verdicts if verdict.reasons
    ]
    lines += [f"{verdict.name}: {note}." for verdict in verdicts for note in verdict.notes]
    lines += [_interval_note(verdicts)] if any(verdict.difference for verdict in verdicts) else []
    for entry in planned:
        lines += _remarks(entry)
    for line in dict.fromkeys(lines):
        out.print(_escape(line), highlight=False)
    for name in dict.fromkeys(name for verdict in verdicts for name in verdict.records):
        click.echo(f"Record: {folder / name}.json", err=True)


def verdicts_as_json(planned: Sequence[PlannedReproduction], verdicts: Sequence[ReproductionVerdict]) -> str:
    """Return the verdicts with their plans as JSON."""
    return _json(
        [{**_plan(entry), "verdict": _verdict(verdict)} for entry, verdict in zip(planned, verdicts, strict=True)]
    )


def _plan(entry: PlannedReproduction) -> dict[str, Any]:
    return {
        "name": entry.name,
        "published": entry.number.model_dump(mode="json"),
        "system": entry.reproduction.system,
        "reading": entry.variant.about if entry.variant else entry.reproduction.about,
        "mistake": entry.mistake,
        "mode": entry.mode,
        "margin": entry.reproduction.margin,
        "scale": entry.scale,
        "iterations": entry.specs[0].training.iterations,
        "full_iterations": entry.full.training.iterations,
        "differences": list(entry.differences),
        "specs": [spec.model_dump(mode="json") for spec in entry.specs],
        "spec_hashes": [spec.hash for spec in entry.specs],
    }


def _verdict(verdict: ReproductionVerdict) -> dict[str, Any]:
    difference = verdict.difference
    return {
        "kind": verdict.kind,
        "reasons": list(verdict.reasons),
        "notes": list(verdict.notes),
        "ours": verdict.ours,
        "half_width": verdict.half_width,
        "over": verdict.over,
        "seeds": verdict.seeds,
        "difference": None if difference is None else difference.mean,
        "difference_interval": None if difference is None else [difference.low, difference.high],
        "records": list(verdict.records),
    }


def _headline(entry: PlannedReproduction) -> str:
    number = entry.number
    about = (entry.variant.about if entry.variant else entry.reproduction.about) or "the settings of the source"
    done, full = entry.specs[0].training.iterations, entry.full.training.iterations
    scale = f"; at a scale of {entry.scale:g}: {done:,} of {full:,} iterations" if entry.scale != 1 else ""
    return f"{published(number)} ({number.source}); {about}{scale}"


def _remarks(entry: PlannedReproduction) -> list[str]:
    """Sentences on the source, on mistakes of the original and on what differs."""
    number = entry.number
    lines = [f"{entry.name}: {entry.variant.about if entry.variant else entry.reproduction.about}."]
    lines = lines if len(lines[0]) > len(entry.name) + 3 else []
    if entry.mistake:
        lines.append(f"{MISTAKE} {entry.name}: repeats a mistake of the original: {entry.mistake}.")
    second_hand = " (second hand)" if number.second_hand else ""
    lines.append(f"Source: {number.source}{second_hand}{f'; {number.note}' if number.note else ''}.")
    if entry.not_comparable:
        lines.append(f"Not comparable: {entry.not_comparable}.")
    return [*lines, *(f"Differs from the source: {difference}." for difference in entry.differences)]


def _cost_lines(entry: PlannedReproduction, cost: ReproductionCost) -> list[str]:
    from mamlbench.progress.display import duration

    training = entry.specs[0].training
    amount = (
        f"{training.iterations:,} iterations of {training.meta_batch_size:,}: {cost.tasks:,} tasks "
        f"({cost.examples:,} examples) and {entry.specs[0].protocol.test_episodes:,} test episodes"
    )
    if cost.seconds is None:
        seconds = "time unknown, because no similar run was recorded on this machine; one at --scale 0.001 would be"
    else:
        seconds = f"about {duration(cost.seconds)}"
    runs = f"{cost.runs} run{'s' * (cost.runs > 1)}" + (f", {cost.finished} finished" if cost.finished else "")
    return [f"Cost: {runs}; {amount} a run; {seconds}.", f"Data: {entry.number.dataset}: {cost.data}."]


def _ours(verdict: ReproductionVerdict) -> str:
    if verdict.ours is None:
        return "no score"
    digits = _digits(verdict.number)
    over = f"{verdict.seeds} seeds" if verdict.over == "seeds" else "episodes"
    half_width = "" if verdict.half_width is None else f" ± {verdict.half_width:.{digits}f} ({over})"
    return f"{verdict.ours:.{digits}f}{half_width}"


def _difference(verdict: ReproductionVerdict) -> str:
    difference = verdict.difference
    if difference is None:
        return ""
    digits = _digits(verdict.number)
    ends = (f"{end:+.{digits}f}" if math.isfinite(end) else "∞" for end in (difference.low, difference.high))
    return f"{difference.mean:+.{digits}f} ({' to '.join(ends)})"


def _digits(number: PublishedNumber) -> int:
    return max(2, len(repr(number.score).partition(".")[2]))


def _interval_note(verdicts: Sequence[ReproductionVerdict]) -> str:
    exact = any(verdict.number.interval is None for verdict in verdicts)
    note = "Difference: here minus published, with the 90 % interval of two one-sided tests at 5 %."
    return f"{note} The source states no ±: its number is taken as exact." if exact else note


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1)
