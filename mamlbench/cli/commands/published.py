"""``mamlbench published``: published numbers with their sources."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.cli.published_tiers import with_tiers_of_folder
from mamlbench.errors import NothingToDoError, did_you_mean
from mamlbench.plugin.published_numbers import read_published

if TYPE_CHECKING:
    from rich.table import Table

    from mamlbench.plugin import Plugins
    from mamlbench.record import PublishedNumber

EPILOG = """\b
Examples:
  mamlbench published
  mamlbench published maml omniglot
  mamlbench published --dataset miniimagenet --algo protonet
  mamlbench published finn2017 --json"""


@click.command(epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--dataset", help="Numbers of this data set.  [default: of all]")
@click.option("--algo", "algorithm", help="Numbers of this algorithm.  [default: of all]")
@shared.results_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    *,
    words: tuple[str, ...],
    dataset: str | None,
    algorithm: str | None,
    results_dir: Path | None,
    as_json: bool,
) -> None:
    """Show published numbers with their conditions and sources: of an algorithm, a data set, a source, or all.

    Numbers are comparable only under the same conditions. Those marked 'second hand' were quoted by another paper. The
    tier says how far the runs in the results folder have come: quoted (not run), run at a scale (fewer iterations, or a
    part of the data set), run in full, reproduced. 'mamlbench reproduce' runs a number again.
    """
    session = session_of(context)
    plugins = session.plugins_with_errors()
    numbers = published_numbers(plugins)
    words = (*words, *filter(None, (dataset, algorithm)))
    matching = [number for number in numbers if all(word in search_words(number) for word in words)]
    if not matching:
        installed = {entry.name for kind in ("algorithm", "dataset") for entry in plugins.registry.entries(kind)}
        valid = sorted({name for number in numbers for name in search_words(number)} | installed)
        unknown = next((word for word in words if word not in valid), None)
        reason = f" '{unknown}' is unknown.{did_you_mean(unknown, valid)}" if unknown else ""
        raise NothingToDoError(f"No published number matches.{reason}")
    matching = with_tiers_of_folder(matching, plugins, results_dir or session.config.results_dir or Path("results"))
    if as_json:
        click.echo(json.dumps([number.model_dump(mode="json") for number in matching], indent=1))
        return

    from mamlbench.progress.console import console

    out = console()
    out.print(numbers_table(matching))
    for line in remarks(matching):
        out.print(line, markup=False, highlight=False)


def published_numbers(plugins: Plugins) -> list[PublishedNumber]:
    """Read all published numbers; a file that cannot be read is reported on stderr."""
    numbers, problems = read_published(plugins.registry.published)
    for problem in problems:
        click.echo(f"Warning: {problem}", err=True)
    return numbers


def search_words(number: PublishedNumber) -> set[str]:
    """Return the words that select a number."""
    return {number.id, number.id.partition("/")[0], number.algorithm, number.dataset, number.metric}


def numbers_table(numbers: Iterable[PublishedNumber]) -> Table:
    """Make a table with one row per number; the last column refers to ``remarks``."""
    from rich.markup import escape

    from mamlbench.cli.show import table

    numbers = list(numbers)
    notes = _notes(numbers)
    rows = table("id", "algorithm", "score", "mode", "queries", "episodes", "steps", "tier", "")
    for number in numbers:
        marks = ",".join(str(notes.index(note) + 1) for note in _notes([number]))
        cells = (
            number.id,
            number.algorithm,
            f"{number.printed} {number.unit}".strip(),
            number.mode or "",
            _count(number.queries),
            _count(number.test_episodes),
            _count(number.steps),
            number.tier,
            marks,
        )
        rows.add_row(*map(escape, cells))
    return rows


def remarks(numbers: Iterable[PublishedNumber]) -> list[str]:
    """Return the sources and notes that the table's last column refers to."""
    return [
        *(f"{index}  {note}" for index, note in enumerate(_notes(numbers), 1)),
        "Queries are per class at test time. An empty cell means unknown.",
    ]


def _notes(numbers: Iterable[PublishedNumber]) -> list[str]:
    """Return each distinct source with its notes, in order of first appearance."""
    return list(
        dict.fromkeys(
            "; ".join(
                filter(
                    None,
                    (
                        f"{number.source}{' (second hand)' if number.second_hand else ''}",
                        number.metric,
                        number.backbone,
                        number.trained_on and f"trained on {number.trained_on}",
                        number.note,
                    ),
                )
            )
            for number in numbers
        )
    )


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
