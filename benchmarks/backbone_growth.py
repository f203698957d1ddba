"""Time and memory of a meta-iteration of MAML, first-order MAML and Reptile, for networks of increasing size.

    python benchmarks/backbone_growth.py [--network NAME ...] [--rounds 10] [--limit 600] [--output growth.png]

Each network and method is measured in a new process. A network that does not fit into the free memory, or takes longer
than the limit, is skipped, and the table gives the reason.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from growth.figure import FORMATS, growth_figure, short_number
from growth.measurement import NETWORKS, GrowthBench, GrowthResult
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mamlbench.cli.show import table
from mamlbench.engine import make_engine
from mamlbench.errors import ConfigError
from mamlbench.progress.console import console
from mamlbench.record import Environment, current_environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all networks and algorithms, print a table or JSON, and write the image.

    Returns 1 if nothing could be measured.
    """
    options = _parse(arguments)
    bench = GrowthBench([NETWORKS[name] for name in options.network], options.engine, options.rounds, options.limit)
    results = _measure(bench)
    shared_title = bench.networks[0].shared_title
    environment = current_environment(threads=torch.get_num_threads())
    if options.json:
        content = {"environment": environment.model_dump(), "setting": shared_title, "engine": bench.engine}
        print(json.dumps({**content, "results": [result.as_dict() for result in results]}, indent=1))
    else:
        _show(results, bench, environment)
    if options.output is not None:
        title = f"{shared_title}, engine {bench.engine}\n{_machine(environment)}"
        options.output.write_bytes(growth_figure(results, title, _format(options.output)))
    return int(all(result.note for result in results))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all")
    # one task at a time needs the least memory, so that the largest networks fit
    parser.add_argument("--engine", default="loop", help="default: loop")
    parser.add_argument("--rounds", type=int, default=10, help="timed meta-iterations; default: 10")
    parser.add_argument("--limit", type=float, default=600, help="seconds per network and method; default: 600")
    parser.add_argument("--output", type=Path, help=f"write an image to this file ({', '.join(FORMATS)})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    try:
        make_engine(options.engine)
    except ConfigError as error:
        parser.error(str(error))
    if options.output is not None:
        _check_output(parser, options.output)
    return options


def _check_output(parser: argparse.ArgumentParser, output: Path) -> None:
    """Refuse a file that cannot be written before minutes of measuring."""
    if _format(output) not in FORMATS:
        parser.error(f"--output must end in {', '.join(FORMATS)}, not '{output}'.")
    try:
        output.open("ab").close()
    except OSError as error:
        parser.error(f"'{output}' cannot be written ({error.strerror}).")


def _format(output: Path) -> str:
    return output.suffix.removeprefix(".").lower()


def _measure(bench: GrowthBench) -> list[GrowthResult]:
    """Measure with a progress bar, which a terminal alone shows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    titles = [f"{network.name}, {algorithm}" for network in bench.networks for algorithm in network.algorithms]
    out = Console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(titles[0], total=bench.size)
        results: list[GrowthResult] = []
        for result in bench.results():
            results.append(result)
            bar.update(task, description=titles[min(len(results), bench.size - 1)], advance=1)
    return results


def _show(results: Sequence[GrowthResult], bench: GrowthBench, environment: Environment) -> None:
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


if __name__ == "__main__":
    raise SystemExit(main())
