"""``mamlbench bench``: time engines and peers in alternation on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.run_spec import Precision
from mamlbench.run_spec.bounds import MOST

if TYPE_CHECKING:
    from mamlbench.bench import BenchResult

EPILOG = """\b
Examples:
  mamlbench bench
  mamlbench bench --setting omniglot-5w1s --engine vmap --engine vmap[8] --rounds 20
  mamlbench bench --peer learn2learn --base learn2learn     (peers: the package plugins/mamlbench-peers)
  mamlbench bench --setting training --peer learn2learn --base learn2learn --data-dir DIR
  mamlbench bench --setting memory-1s-10steps --rounds 3
  mamlbench bench --memory --json > bench.json

\b
Every competitor does the same work on the same random images, once per round, in alternation. Compare times only
within one run. 'plain' is a loop over tasks in torch alone. Peers and plain use the network of the papers.
±: half the interquartile range. Ratios have a 95 % confidence interval over rounds."""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.option("--setting", "settings", multiple=True, help="Setting to time; repeat for several.  [default: all]")
@click.option(
    "--engine", "engines", multiple=True, help="Engine, or plain; repeat for several.  [default: each setting's]"
)
@click.option("--peer", "peers", multiple=True, type=shared.Registered("peer"), help="Other library; may be repeated.")
@click.option(
    "--base",
    default="",
    help="Engine or peer that ratios are relative to, or plain.  [default: loop or plain]",
)
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(1, MOST), help="Timed rounds.")
@click.option("--memory", is_flag=True, help="Also measure peak memory, each in a new process (slow).")
@shared.precision
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    *,
    settings: tuple[str, ...],
    engines: tuple[str, ...],
    peers: tuple[str, ...],
    base: str,
    rounds: int,
    memory: bool,
    precision: Precision,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Time one meta-iteration of each algorithm with every engine and peer, and compare their results."""
    session = session_of(context)
    plugins = session.plugins
    if precision != "float32" and peers:
        raise ConfigError("--precision applies to engines only. It cannot be combined with --peer.")

    from mamlbench.bench import PLAIN, SETTINGS, Bench, describe_peers
    from mamlbench.engine import make_engine
    from mamlbench.record import current_environment
    from mamlbench.user_config import folders

    unknown = [f"Unknown setting '{name}'.{did_you_mean(name, SETTINGS)}" for name in settings if name not in SETTINGS]
    if unknown:
        raise ConfigError(*unknown)
    for name in engines:
        if name != PLAIN:
            make_engine(name)
    for name in peers:
        plugins.registry.entry("peer", name)
    selected = [SETTINGS[name] for name in settings or SETTINGS]
    locations = folders(session.config, data_dir=data_dir)
    bench = Bench(selected, engines, peers, rounds, base, memory, locations, precision)
    results: list[BenchResult] = []
    with _progress() as progress:
        for setting_results in bench.results(plugins, progress):
            results += setting_results
    import torch

    environment = current_environment(threads=torch.get_num_threads())
    peer_versions = describe_peers(peers, plugins)
    if as_json:
        rows = [result.as_dict() for result in results]
        content = {"environment": environment.model_dump(), "precision": precision, "peers": peer_versions}
        click.echo(json.dumps({**content, "rows": rows}, indent=1))
        return
    software = f"{environment.threads} threads, torch {environment.packages['torch']}"
    _show(results, f"{environment.cpu}, {software}, {precision}")
    for line in peer_versions.values():
        click.echo(line)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a progress callback: a bar on a terminal, one line per setting elsewhere."""
    from mamlbench.progress.console import console

    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda title, done, total: click.echo(f"{title}: done", err=True) if done == total else None
        return
    from rich.progress import Progress

    with Progress(console=out, transient=True) as bar:
        task = bar.add_task("", total=1)
        yield lambda title, done, total: bar.update(task, description=title, completed=done, total=total)


def _show(results: list[BenchResult], machine: str) -> None:
    from mamlbench.bench import SETTINGS
    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    out = console()
    columns = ("algorithm", "engine or peer", "ms", "speedup", "MiB", "x fomaml", "% of peak", "difference")
    for setting in dict.fromkeys(result.setting for result in results):
        rows = table(*columns)
        for result in results:
            if result.setting == setting:
                rows.add_row(result.algorithm, result.competitor, *_cells(result))
        out.print(SETTINGS[setting].title, style="bold")
        out.print(rows)
    out.print(
        f"{machine}. Speedup: relative to the row without a value. MiB: peak above an idle process. x fomaml: multiple "
        "of first-order MAML's peak. % of peak: of this machine's float32 matrix product. Difference: from the loop."
    )


def _cells(result: BenchResult) -> list[str]:
    if result.seconds is None:
        return [result.note, "", "", "", "", ""]
    first, third = result.seconds.quartiles
    time = f"{1e3 * result.seconds.median:.1f} ± {1e3 * (third - first) / 2:.1f}"
    speedup = (
        ""
        if result.speedup is None
        else f"{result.speedup.median:.2f} ({result.speedup.low:.2f} to {result.speedup.high:.2f})"
    )
    memory = "" if result.memory is None else f"{result.memory / 2**20:,.0f}"
    ratio = "" if result.memory_ratio is None else f"{result.memory_ratio:.2f}"
    peak = "" if result.peak_fraction is None else f"{100 * result.peak_fraction:.0f}"
    return [time, speedup, memory, ratio, peak, "" if result.difference is None else f"{result.difference:.0e}"]
