"""``mamlbench serve``: the page of a results folder in a browser, updating while runs go on."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.cli.shown_columns import shown_columns
from mamlbench.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from mamlbench.cli.session import Session
    from mamlbench.record.runs_in_progress import RunInProgress
    from mamlbench.report.loading import LoadedRecords
    from mamlbench.report.page.page_server import PageServer

PORT = 8017

EPILOG = """\b
Examples:
  mamlbench serve                                    the results folder
  mamlbench serve results/omniglot --open            in the browser
  mamlbench serve --port 0                           any free port; the address is printed"""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, type=shared.RecordPath())
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0: any that is free."
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--title", default="", help="Title of the page.")
@click.option("--private", is_flag=True, help="Show images even if their license forbids publishing.")
@click.option("--columns", multiple=True, help="A column to show, as in 'mamlbench report'.")
@click.option("--metric", type=shared.Registered("metric"), help="Metric of tables and figures.  [default: the first]")
@click.option("--sort", help="Column to sort by, best first.  [default: the first score]")
@shared.plugin_files
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    paths: tuple[Path, ...],
    port: int,
    opens: bool,
    title: str,
    private: bool,
    columns: tuple[str, ...],
    metric: str | None,
    sort: str | None,
) -> ExitCode:
    """Show the page of 'mamlbench report --format html' in a browser, and update it while runs go on.

    The server reads records, the claims and last checkpoints of runs in progress; it writes nothing. It listens on
    127.0.0.1 only: no other machine can reach it. Ctrl-C ends it.
    """
    from mamlbench.report.page.live_page import LivePage
    from mamlbench.report.page.page_server import PageServer

    session = session_of(context)
    folders = _existing(paths) or [session.config.results_dir or Path("results")]
    page = LivePage(folders, _renderer(session, columns, sort, metric, title, private=private))
    with PageServer(page, port) as server:
        page.content()  # what is wrong with the options is an error now, not in the browser
        click.echo(f"Serving {', '.join(map(str, folders))} at {server.url}; Ctrl-C ends it.")
        if opens:
            webbrowser.open(server.url)
        return _serve(server)


def _serve(server: PageServer) -> ExitCode:
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("Ended.", err=True)
    return ExitCode.OK


def _existing(paths: Sequence[Path]) -> list[Path]:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ConfigError(
            *(f"'{path}' does not exist. Name record files, or folders that contain them." for path in missing)
        )
    return list(paths)


def _renderer(
    session: Session, columns: Sequence[str], sort: str | None, metric: str | None, title: str, *, private: bool
) -> Callable[[LoadedRecords, Sequence[RunInProgress], str], str]:
    from mamlbench.report.page import render_page

    def render(loaded: LoadedRecords, running: Sequence[RunInProgress], version: str) -> str:
        names, plugin_columns = shown_columns(session, columns, sort, loaded.records)
        return render_page(
            loaded.records,
            loaded.files,
            columns=names,
            sort=sort,
            private=private,
            problems=loaded.problems,
            plugin_columns=plugin_columns,
            metric=metric if loaded.records else None,
            title=title,
            running=running,
            live=version,
        )

    return render
