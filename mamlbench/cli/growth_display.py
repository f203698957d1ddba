"""``mamlbench bench --backbones``: what a meta-iteration costs as the network grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.errors import ConfigError, NothingToDoError, did_you_mean
from mamlbench.plugin import Plugins

if TYPE_CHECKING:
    from mamlbench.bench.backbone_growth import Cell, GrowthBench
    from mamlbench.record import Environment

DEFAULT_ENGINE = "loop"  # one task at a time: its memory is the smallest, so that the largest networks fit


def run(
    plugins: Plugins,
    networks: Sequence[str],
    engines: Sequence[str],
    *,
    rounds: int,
    limit: float,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure every cell, print the table (or JSON), write the image."""
    import torch

    from mamlbench.bench.backbone_growth import NETWORKS, GrowthBench
    from mamlbench.bench.growth_figure import growth_figure
    from mamlbench.engine import make_engine
    from mamlbench.record import current_environment

    unknown = [f"Unknown network '{name}'.{did_you_mean(name, NETWORKS)}" for name in networks if name not in NETWORKS]
    if unknown:
        raise ConfigError(*unknown)
    if len(engines) > 1:
        raise ConfigError("--backbones compares networks under one engine: give --engine once.")
    engine = engines[0] if engines else DEFAULT_ENGINE
    make_engine(engine)
    chosen = [setting for name, setting in NETWORKS.items() if name in (networks or NETWORKS)]
    bench = GrowthBench(chosen, engine, rounds, limit, plugins.files)
    format_ = _checked(output)
    cells = _measured(bench)
    environment = current_environment(threads=torch.get_num_threads())
    if as_json:
        rows = [cell.as_dict() for cell in cells]
        told = {"environment": environment.model_dump(), "setting": chosen[0].title_of_all, "engine": engine}
        click.echo(json.dumps({**told, "cells": rows}, indent=1))
    else:
        _show(cells, bench, environment)
    if output is not None:
        title = f"{chosen[0].title_of_all}, engine {engine}\n{_machine(environment)}"
        output.write_bytes(growth_figure(cells, title, format_))
        click.echo(f"Written: {output}", err=True)
    if all(cell.note for cell in cells):
        raise NothingToDoError("No network could be measured: the table says why.")


def _checked(output: Path | None) -> str:
    """The image's format. Its file is tried before anything is measured: minutes must not be lost for a bad name."""
    from mamlbench.bench.growth_figure import FORMATS

    if output is None:
        return ""
    format_ = output.suffix.removeprefix(".").lower()
    if format_ not in FORMATS:
        raise ConfigError(f"--output names an image, ending in {', '.join(FORMATS)}, not '{output}'.")
    try:
        output.open("ab").close()
    except OSError as error:
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}): choose another with --output.") from error
    return format_


def _measured(bench: GrowthBench) -> list[Cell]:
    """Every cell: with a bar on a terminal, and a line for each elsewhere."""
    from mamlbench.cli.show import console

    out = console(stderr=True)
    if not out.is_terminal:
        found = []
        for cell in bench.cells():
            click.echo(f"{cell.network}, {cell.algorithm}: {cell.note or 'done'}", err=True)
            found.append(cell)
        return found
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    works = [f"{network.name}, {algorithm}" for network in bench.networks for algorithm in network.algorithms]
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(works[0], total=bench.size)
        found = []
        for after, cell in zip([*works[1:], works[-1]], bench.cells(), strict=True):
            found.append(cell)
            bar.update(task, description=after, advance=1)
    return found


def _show(cells: Sequence[Cell], bench: GrowthBench, environment: Environment) -> None:
    from mamlbench.bench.growth_figure import short
    from mamlbench.cli.show import console, table

    shown = table("network", "parameters", "algorithm", "seconds", "times FOMAML's", "MiB", "times FOMAML's")
    first_order = {cell.network: cell for cell in cells if cell.algorithm == "fomaml"}
    for cell in cells:
        begins = cell.algorithm == bench.networks[0].algorithms[0]
        name, size = (cell.network, short(cell.parameters) if cell.parameters else "") if begins else ("", "")
        shown.add_row(name, size, cell.algorithm, *_figures(cell, first_order.get(cell.network)))
    out = console()
    out.print(bench.networks[0].title_of_all, style="bold", highlight=False)
    out.print(shown)
    out.print(
        f"{_machine(environment)}, engine {bench.engine}. Seconds per meta-iteration, the median of up to "
        f"{bench.rounds}; ± half the distance between the quartiles. MiB: peak above a process that has computed "
        "nothing. Each row was measured in a process of its own.",
        highlight=False,
    )


def _figures(cell: Cell, base: Cell | None) -> list[str]:
    if cell.seconds is None:
        return [cell.note, "", "", ""]
    first, third = cell.seconds.quartiles
    time = f"{cell.seconds.median:.3g} ± {(third - first) / 2:.1g}"
    slower = f"{cell.seconds.median / base.seconds.median:.1f}" if base and base.seconds else ""
    memory = "" if cell.memory is None else f"{cell.memory / 2**20:,.0f}"
    larger = f"{cell.memory / base.memory:.1f}" if cell.memory and base and base.memory else ""
    return [time, slower, memory, larger]


def _machine(environment: Environment) -> str:
    threads = "1 thread" if environment.threads == 1 else f"{environment.threads} threads"
    return f"{environment.cpu}, {threads}, torch {environment.packages['torch']}"
