"""``mamlbench bench``: engines and peers, timed in turn on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import growth_display
from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.run_spec import Precision

if TYPE_CHECKING:
    from mamlbench.bench import Row

EPILOG = """\b
Examples:
  mamlbench bench
  mamlbench bench --setting omniglot-5w1s --engine vmap --engine vmap[8] --rounds 20
  mamlbench bench --peer learn2learn --base learn2learn     (benchmarks/requirements-peers.txt installs peers)
  mamlbench bench --setting training --peer learn2learn --base learn2learn --data-dir DIR
  mamlbench bench --setting memory-1s-10steps --rounds 3
  mamlbench bench --memory --json > bench.json
  mamlbench bench --backbones --rounds 3 --output growth.svg       time and memory as the network grows

\b
Every competitor computes the same work on the same random images, once per round, in turn: compare times within one
run only. 'plain' is a loop over tasks in torch alone. Peers and plain get the network as the papers draw it.
± is half the distance between the quartiles; the interval of a ratio is over rounds, at 95 %."""


@click.command(epilog=EPILOG)
@click.option("--setting", "settings", multiple=True, help="Shapes of work; repeat for several.  [default: all]")
@click.option(
    "--engine", "engines", multiple=True, help="Engine, or plain; repeat for several.  [default: each setting's]"
)
@click.option("--peer", "peers", multiple=True, type=shared.Registered("peer"), help="Other library; may be repeated.")
@click.option(
    "--base", default="", help="Whom ratios are relative to: an engine, a peer, plain.  [default: loop or plain]"
)
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(min=1), help="Timed rounds.")
@click.option("--memory", is_flag=True, help="Measure peak memory too, each in a process of its own (slow).")
@click.option(
    "--backbones",
    is_flag=True,
    help="Instead: time and memory of MAML, FOMAML and Reptile as the network "
    "grows; --setting then names networks, --engine is one (default: loop).",
)
@click.option(
    "--cell-limit",
    default=600.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="With --backbones: seconds after which one network and algorithm is skipped.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --backbones: an image to write, ending in .png, .svg or .pdf.",
)
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
    backbones: bool,
    cell_limit: float,
    output: Path | None,
    precision: Precision,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Time one meta-iteration of each algorithm by every engine and peer, in turn, and compare their results."""
    session = session_of(context)
    plugins = session.plugins
    if precision != "float32" and (backbones or peers):
        raise ConfigError("--precision is that of the engines: leave out --peer and --backbones, which know float32.")
    if backbones:
        if peers:
            raise ConfigError("--backbones times no peers: leave out --peer or --backbones.")
        growth_display.run(plugins, settings, engines, rounds=rounds, limit=cell_limit, output=output, as_json=as_json)
        return
    if output is not None:
        raise ConfigError("--output names an image of --backbones; a table goes into a file with '> FILE'.")

    from mamlbench.bench import PLAIN, SETTINGS, Bench, about_peers
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
    chosen = [SETTINGS[name] for name in settings or SETTINGS]
    places = folders(session.project, data_dir=data_dir)
    bench = Bench(chosen, engines, peers, rounds, base, memory, places, precision)
    found: list[Row] = []
    with _progress() as tell:
        for rows in bench.rows(plugins, tell):
            found += rows
    import torch

    environment = current_environment(threads=torch.get_num_threads())
    peers_said = about_peers(peers, plugins)
    if as_json:
        rows_said = [row.as_dict() for row in found]
        document = {"environment": environment.model_dump(), "precision": precision, "peers": peers_said}
        click.echo(json.dumps({**document, "rows": rows_said}, indent=1))
        return
    software = f"{environment.threads} threads, torch {environment.packages['torch']}"
    _show(found, f"{environment.cpu}, {software}, {precision}")
    for said in peers_said.values():
        click.echo(said)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, a line per setting elsewhere."""
    from mamlbench.cli.show import console

    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda what, done, of: click.echo(f"{what}: done", err=True) if done == of else None
        return
    from rich.progress import Progress

    with Progress(console=out, transient=True) as bar:
        task = bar.add_task("", total=1)
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of)


def _show(rows: list[Row], machine: str) -> None:
    from mamlbench.bench import SETTINGS
    from mamlbench.cli.show import console, table

    out = console()
    for setting in dict.fromkeys(row.setting for row in rows):
        shown = table(
            "algorithm", "engine or peer", "ms", "times as fast", "MiB", "x fomaml", "% of peak", "differs by"
        )
        for row in (row for row in rows if row.setting == setting):
            shown.add_row(row.algorithm, row.who, *_cells(row))
        out.print(SETTINGS[setting].title, style="bold")
        out.print(shown)
    out.print(
        f"{machine}. Times as fast: as the row without such a figure. MiB: peak above an idle process; x fomaml: of "
        "first-order MAML's. % of peak: of this machine's float32 matrix product."
    )


def _cells(row: Row) -> list[str]:
    if row.seconds is None:
        return [row.note, "", "", "", "", ""]
    first, third = row.seconds.quartiles
    time = f"{1e3 * row.seconds.median:.1f} ± {1e3 * (third - first) / 2:.1f}"
    speed = "" if row.speed is None else f"{row.speed.median:.2f} ({row.speed.low:.2f} to {row.speed.high:.2f})"
    memory = "" if row.memory is None else f"{row.memory / 2**20:,.0f}"
    more = "" if row.of_first_order is None else f"{row.of_first_order:.2f}"
    peak = "" if row.of_peak is None else f"{100 * row.of_peak:.0f}"
    return [time, speed, memory, more, peak, "" if row.difference is None else f"{row.difference:.0e}"]
