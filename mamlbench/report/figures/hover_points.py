"""What a reader can point at in a figure of the page: the rows drawn, and points with their numbers.

Panels note both while they draw. Only the page uses the notes; a figure in a file is the same with and without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from mamlbench.report.formatting import printable

SIGNIFICANT_DIGITS = 6
"""Digits of the numbers behind a figure; its own resolution is three or four."""
ROW_ID = "row-"
"""Begins the id of every artist of a row; the row's number follows."""

Fact = float | str
_Row = TypeVar("_Row")


@dataclass
class FigureNotes:
    """What one panel drew, beside its artists."""

    points: list[tuple[int, float, float, Mapping[str, Fact]]] = field(default_factory=list)
    """row, x and y in the units of the axes, and the numbers that the point stands for, by name"""
    artists: list[tuple[int, Any]] = field(default_factory=list)
    """what belongs to a row"""


@dataclass(frozen=True)
class FigureData:
    """The numbers behind one plot, and where its points are."""

    columns: list[str]
    """names of the numbers"""
    points: list[list[Fact | None]]
    """row, x and y in the units of the SVG's view box, then a value per column"""


_NOTES: WeakKeyDictionary[Any, FigureNotes] = WeakKeyDictionary()


def notes_of(axes: Any) -> FigureNotes:
    """Return what was noted while drawing into these axes."""
    return _NOTES.setdefault(axes, FigureNotes())


def note_point(axes: Any, row: int, x: float, y: float, facts: Mapping[str, Fact]) -> None:
    """Note a point of a row, in the units of the axes, and the numbers that it stands for by name."""
    notes_of(axes).points.append((row, x, y, facts))


def noted_rows(axes: Any, rows: Iterable[_Row]) -> Iterator[tuple[int, _Row]]:
    """Yield each row with its number, and note what the caller draws before it asks for the next one."""
    for index, row in enumerate(rows):
        before = set(axes.get_children())
        yield index, row
        note_artists(axes, index, [artist for artist in axes.get_children() if artist not in before])


def note_artists(axes: Any, row: int, artists: Sequence[Any]) -> None:
    """Note that these artists belong to a row."""
    notes_of(axes).artists.extend((row, artist) for artist in artists)


def name_artists(axes: Any) -> None:
    """Give the artists of rows an id, which ends up in the SVG."""
    for row, artist in notes_of(axes).artists:
        artist.set_gid(f"{ROW_ID}{row}")


def figure_data(axes: Any) -> FigureData:
    """Return the points noted, where they are in the SVG. The figure has been drawn: only then is its layout known."""
    points = notes_of(axes).points
    columns = list(dict.fromkeys(name for *_, facts in points for name in facts))
    if not points:
        return FigureData(columns, [])
    scale = 72 / axes.figure.dpi  # an SVG has points, whatever the resolution of the figure
    height = 72 * axes.figure.get_figheight()
    places = axes.transData.transform([(x, y) for _, x, y, _ in points]) * scale
    return FigureData(
        columns,
        [
            [row, round(float(left), 1), round(height - float(up), 1), *(_value(facts.get(name)) for name in columns)]
            for (row, _, _, facts), (left, up) in zip(points, places, strict=True)
        ],
    )


def _value(fact: Fact | None) -> Fact | None:
    if fact is None or isinstance(fact, int):
        return fact
    return printable(fact) if isinstance(fact, str) else float(f"{fact:.{SIGNIFICANT_DIGITS}g}")
