"""Records, tables and figures as notebooks show them; ``mamlbench.report`` returns what is defined here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.record import RunRecord
from mamlbench.report.dataframe import FILES
from mamlbench.report.formatting import printable
from mamlbench.report.loading import read_records
from mamlbench.report.table.groups import group_records
from mamlbench.report.table.table import Table, build_tables

if TYPE_CHECKING:
    import pandas as pd

CELL = "padding:2px 8px;white-space:nowrap;text-align:"
"""Style of a cell, without its alignment; notebooks have styles of their own."""


def report(source: str | Path | RunRecord | Sequence[str | Path | RunRecord] | pd.DataFrame = "results") -> Report:
    """Return tables and figures of records, for a notebook or a script.

    Args:
        source: a folder or file of records, a record, several of these, or a table of ``load_records``, of which the
            rows that are left choose the records.

    Raises ConfigError if a path does not exist, or if the records of a table were in no files.
    """
    return Report(list(_records(source)))


class Report:
    """Some records, to be shown as tables and figures.

    Args:
        records: of runs, finished or not.
    """

    def __init__(self, records: Sequence[RunRecord]) -> None:
        self.records = tuple(records)

    def table(self, *columns: str, sort: str | None = None, metric: str | None = None) -> Tables:
        """Return the comparison tables, one for each group of comparable records.

        Args:
            *columns: names of columns as for ``mamlbench report --columns``; the default ones if there are none.
            sort: name of the column to sort by, best first; the first score if None.
            metric: metric of the scores; the first of each table if None.

        Raises ConfigError for an unknown column or metric.
        """
        return Tables(tuple(build_tables(self.records, columns, sort, metric=metric)))

    def figure(self, name: str = "curves", *, metric: str | None = None) -> Figure:
        """Return a figure, one line of panels for each group of comparable records.

        Args:
            name: curves, pareto, steps, distribution, seeds or time.
            metric: metric of the scores; the first of each group if None.

        Raises ConfigError for an unknown name, and if no record has data for it.
        """
        from mamlbench.report.figures.export import save_figure
        from mamlbench.report.figures.panels import FIGURES

        if name not in FIGURES:
            raise ConfigError(f"There is no figure '{name}'.{did_you_mean(name, FIGURES)}")
        return Figure(name, {"svg": save_figure(name, group_records(self.records, metric), "svg")}, self, metric)

    def __repr__(self) -> str:
        return f"<mamlbench report: {len(self.records)} records; .table(), .figure('curves')>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@dataclass(frozen=True, repr=False)
class Tables:
    """Comparison tables; text on a terminal, HTML in a notebook."""

    tables: tuple[Table, ...]

    def __repr__(self) -> str:
        import io

        from rich.console import Console

        from mamlbench.report.render.terminal import print_tables

        text = io.StringIO()
        print_tables(
            self.tables, Console(file=text, width=120, color_system=None, emoji=False, force_jupyter=False), brief=True
        )
        return text.getvalue().strip("\n")

    def _repr_html_(self) -> str:
        return "".join(map(_html_table, self.tables))


class Figure:
    """A figure that a notebook shows, and that can be saved.

    Args:
        name: what it shows.
        contents: the file of each format that was drawn already.
        report: what it was drawn from.
        metric: as for ``Report.figure``.
    """

    def __init__(self, name: str, contents: dict[str, bytes], report: Report, metric: str | None) -> None:
        self.name = name
        self._contents = contents
        self._report, self._metric = report, metric

    def save(self, path: str | Path) -> None:
        """Write the figure as PNG, PDF or SVG, as the file's suffix says. Raises ConfigError for another suffix."""
        path = Path(path)
        format_ = path.suffix.removeprefix(".").lower()
        if format_ not in ("png", "pdf", "svg"):
            raise ConfigError(f"A figure is a file of the type png, pdf or svg, not '{path.name}'.")
        path.write_bytes(self.content(format_))

    def content(self, format_: str) -> bytes:
        """Return the file of a format: png, pdf or svg."""
        if format_ not in self._contents:
            from mamlbench.report.figures.export import save_figure

            groups = group_records(self._report.records, self._metric)
            self._contents[format_] = save_figure(self.name, groups, format_)
        return self._contents[format_]

    def __repr__(self) -> str:
        return f"<mamlbench figure '{self.name}' of {len(self._report.records)} records; .save('FILE.png')>"

    def _repr_png_(self) -> bytes:
        return self.content("png")


def record_html(record: RunRecord) -> str:
    """Return a record as HTML: its table, and its learning curve if it has one."""
    parts = [f"<p><b>{escape(printable(record.name or 'run'))}</b></p>", Report([record]).table()._repr_html_()]
    if len(record.curve) > 1:
        with suppress(ConfigError):  # it has no validation
            parts.append(_image(Report([record]).figure("curves").content("svg"), "curves"))
    return "".join(parts)


def _records(source: object) -> Iterable[RunRecord]:
    files = getattr(source, "attrs", {}).get(FILES) if hasattr(source, "columns") else None
    if hasattr(source, "columns"):
        names = set(source["record"])  # type: ignore[index]
        known = [path for name, path in files or () if name in names]
        if names and not known:
            raise ConfigError("The records of this table are not known: read it by mamlbench.load_records from files.")
        yield from (record for record in read_records(known).records if record.name in names)
        return
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    for one in several:
        if isinstance(one, RunRecord):
            yield one
        else:
            yield from read_records([one]).records  # type: ignore[list-item]


def _html_table(table: Table) -> str:
    from mamlbench.report.render.brief import legend
    from mamlbench.report.render.cell_grid import headings, label

    head = "".join(_html_cell("th", text, first=index == 0) for index, text in enumerate(headings(table)))
    rows = []
    for row in table.rows:
        cells = [(label(row), False), *((cell.text + cell.mark, bool(cell.best)) for cell in row.cells)]
        shown = (_html_cell("td", text, best, first=index == 0) for index, (text, best) in enumerate(cells))
        rows.append(f"<tr>{''.join(shown)}</tr>")
    notes = "".join(f"<div><small>{escape(printable(note))}</small></div>" for note in legend(table, "bold"))
    title = f"<p>{escape(printable(table.title))}</p>"
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{notes}"


def _html_cell(tag: str, text: str, best: bool = False, *, first: bool) -> str:
    shown = escape(printable(text))
    shown = f"<b>{shown}</b>" if best else shown
    return f'<{tag} style="{CELL}{"left" if first else "right"}">{shown}</{tag}>'


def _image(svg: bytes, title: str) -> str:
    data = base64.b64encode(svg).decode()
    return f'<img style="max-width:100%" alt="{escape(title)}" src="data:image/svg+xml;base64,{data}"/>'
