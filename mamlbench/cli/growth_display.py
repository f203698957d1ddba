"""``mamlbench bench --backbones``: time and memory of a meta-iteration for networks of increasing size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.errors import ConfigError, NothingToDoError, did_you_mean
from mamlbench.plugin import Plugins

if TYPE_CHECKING:
    from mamlbench.bench.backbone_growth import GrowthBench, GrowthResult
    from mamlbench.record import Environment

DEFAULT_ENGINE = "loop"  # one task at a time needs the least memory, so the largest networks fit


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
    """Measure all networks and algorithms, print a table or JSON, and write the image."""
    import torch

    from mamlbench.bench.backbone_growth import NETWORKS, GrowthBench
    from mamlbench.bench.growth_figure import growth_figure
    from mamlbench.engine import make_engine
    from mamlbench.record import current_environment

    unknown = [f"Unknown network '{name}'.{did_you_mean(name, NETWORKS)}" for name in networks if name not in NETWORKS]
    if unknown:
        raise ConfigError(*unknown)
    if len(engines) > 1:
        raise ConfigError("--backbones compares networks with one engine. Use --engine once.")
    engine = engines[0] if engines else DEFAULT_ENGINE
    make_engine(engine)
    selected = [setting for name, setting in NETWORKS.items() if name in (networks or NETWORKS)]
    bench = GrowthBench(selected, engine, rounds, limit, plugins.files)
    format_ = _image_format(output)
    results = _measure(bench)
    shared_title = selected[0].shared_title
    environment = current_environment(threads=torch.get_num_threads())
    if as_json:
        content = {"environment": environment.model_dump(), "setting": shared_title, "engine": engine}
        click.echo(json.dumps({**content, "results": [result.as_dict() for result in results]}, indent=1))
    else:
        _show(results, bench, environment)
    if output is not None:
        title = f"{shared_title}, engine {engine}\n{_machine(environment)}"
        output.write_bytes(growth_figure(results, title, format_))
        click.echo(f"Written: {output}", err=True)
    if all(result.note for result in results):
        raise NothingToDoError("No network could be measured. The table shows the reasons.")


def _image_format(output: Path | None) -> str:
    """Return the format of the image. The file is opened now, so that a bad name fails before minutes of measuring."""
    from mamlbench.bench.growth_figure import FORMATS

    if output is None:
        return ""
    format_ = output.suffix.removeprefix(".").lower()
    if format_ not in FORMATS:
        raise ConfigError(f"--output must end in {', '.join(FORMATS)}, not '{output}'.")
    try:
        output.open("ab").close()
    except OSError as error:
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}). Choose another with --output.") from error
    return format_


def _measure(bench: GrowthBench) -> list[GrowthResult]:
    """Measure with a progress bar on a terminal, or one line per result elsewhere."""
    from mamlbench.cli.show import console

    out = console(stderr=True)
    if not out.is_terminal:
        results = []
        for result in bench.results():
            click.echo(f"{result.network}, {result.algorithm}: {result.note or 'done'}", err=True)
            results.append(result)
        return results
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    titles = [f"{network.name}, {algorithm}" for network in bench.networks for algorithm in network.algorithms]
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(titles[0], total=bench.size)
        results = []
        for next_title, result in zip([*titles[1:], titles[-1]], bench.results(), strict=True):
            results.append(result)
            bar.update(task, description=next_title, advance=1)
    return results


def _show(results: Sequence[GrowthResult], bench: GrowthBench, environment: Environment) -> None:
    from mamlbench.bench.growth_figure import short_number
    from mamlbench.cli.show import console, table

    rows = table("network", "parameters", "algorithm", "seconds", "x fomaml", "MiB", "x fomaml")
    first_order = {result.network: result for result in results if result.algorithm == "fomaml"}
    for result in results:
        name, size = "", ""
        if result.algorithm == bench.networks[0].algorithms[0]:  # the first row of a network
            name, size = result.network, short_number(result.parameters) if result.parameters else ""
        rows.add_row(name, size, result.algorithm, *_cells(result, first_order.get(result.network)))
    out = console()
    out.print(bench.networks[0].shared_title, style="bold", highlight=False)
    out.print(rows)
    out.print(
        f"{_machine(environment)}, engine {bench.engine}. Seconds: median of up to {bench.rounds} meta-iterations ± "
        "half the interquartile range. MiB: peak above a process that has computed nothing. Each row was measured in "
        "a new process.",
        highlight=False,
    )


def _cells(result: GrowthResult, base: GrowthResult | None) -> list[str]:
    if result.seconds is None:
        return [result.note, "", "", ""]
    first, third = result.seconds.quartiles
    time = f"{result.seconds.median:.3g} ± {(third - first) / 2:.1g}"
    time_ratio = f"{result.seconds.median / base.seconds.median:.1f}" if base and base.seconds else ""
    memory = "" if result.memory is None else f"{result.memory / 2**20:,.0f}"
    memory_ratio = f"{result.memory / base.memory:.1f}" if result.memory and base and base.memory else ""
    return [time, time_ratio, memory, memory_ratio]


def _machine(environment: Environment) -> str:
    threads = "1 thread" if environment.threads == 1 else f"{environment.threads} threads"
    return f"{environment.cpu}, {threads}, torch {environment.packages['torch']}"
