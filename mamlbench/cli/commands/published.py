"""``mamlbench published``: what others report, and where."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
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
  mamlbench published finn2017 --json"""


@click.command(epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="[WORD]...")
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(context: click.Context, *, words: tuple[str, ...], as_json: bool) -> None:
    """Show published numbers with their conditions and sources: of an algorithm, a data set, a source, or all.

    A number is to be compared only with one measured under the same conditions. Those marked 'second hand' were read in
    a quotation, not in the source.
    """
    known = known_numbers(session_of(context).plugins_with_errors())
    found = [number for number in known if all(word in names_of(number) for word in words)]
    if not found:
        every = sorted({name for number in known for name in names_of(number)})
        unknown = next((word for word in words if word not in every), None)
        reason = f" '{unknown}' is not known.{did_you_mean(unknown, every)}" if unknown else ""
        raise NothingToDoError(f"No published number fits.{reason}")
    if as_json:
        click.echo(json.dumps([number.model_dump(mode="json") for number in found], indent=1))
        return

    from mamlbench.cli.show import console

    out = console()
    out.print(numbers_table(found))
    for line in remarks(found):
        out.print(line, markup=False, highlight=False)


def known_numbers(plugins: Plugins) -> list[PublishedNumber]:
    """Every number that can be read; a file that cannot is named on stderr."""
    numbers, problems = read_published(plugins.registry.published)
    for problem in problems:
        click.echo(f"Warning: {problem}", err=True)
    return numbers


def names_of(number: PublishedNumber) -> set[str]:
    """What a user may ask for it by."""
    return {number.id, number.id.partition("/")[0], number.algorithm, number.dataset, number.metric}


def numbers_table(numbers: Iterable[PublishedNumber]) -> Table:
    """One row for each number; the last column leads to ``remarks``."""
    from rich.markup import escape

    from mamlbench.cli.show import table

    numbers = list(numbers)
    notes = _notes(numbers)
    rows = table("id", "algorithm", "score", "mode", "queries", "episodes", "steps", "")
    for number in numbers:
        marks = ",".join(str(notes.index(note) + 1) for note in _notes([number]))
        cells = (
            number.id,
            number.algorithm,
            _score(number),
            number.mode or "",
            _said(number.queries),
            _said(number.test_episodes),
            _said(number.steps),
            marks,
        )
        rows.add_row(*map(escape, cells))
    return rows


def remarks(numbers: Iterable[PublishedNumber]) -> list[str]:
    """The sources and notes that the table's last column leads to."""
    return [
        *(f"{place}  {note}" for place, note in enumerate(_notes(numbers), 1)),
        "Queries are per class at test time; an empty cell: not known here.",
    ]


def _notes(numbers: Iterable[PublishedNumber]) -> list[str]:
    """Every source, whether second hand, and its notes, each once, in the order in which they are first met."""
    return list(
        dict.fromkeys(
            f"{number.source}{' (second hand)' if number.second_hand else ''}; {number.metric}"
            f"{f'; {number.backbone}' if number.backbone else ''}{f'; {number.note}' if number.note else ''}"
            for number in numbers
        )
    )


def _score(number: PublishedNumber) -> str:
    values = [number.score, *([] if number.interval is None else [number.interval])]
    digits = max(len(repr(value).partition(".")[2]) for value in values)
    return f"{' ± '.join(f'{value:.{digits}f}' for value in values)} {number.unit}".strip()


def _said(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
