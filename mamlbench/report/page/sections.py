"""What stands on the page: a section per table, with its figures, sample episodes and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.plugin import ReportColumn
from mamlbench.record import Environment, RunRecord
from mamlbench.report.figures.panels import FIGURES
from mamlbench.report.figures.style import Style
from mamlbench.report.figures.view import MOST_ROWS, View, labels_of, view_of
from mamlbench.report.page.episode_images import Gallery, gallery
from mamlbench.report.render.cell_grid import notes as all_notes
from mamlbench.report.table import notes, row_settings
from mamlbench.report.table.groups import Group, Row, group_records
from mamlbench.report.table.table import NO_PLUGINS, Table, build_tables

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_FIGURED = 4
"""Tables that get figures; a page of hundreds would neither load nor be read."""


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    title: str
    about: str
    svg: Markup
    lanes: bool


@dataclass(frozen=True)
class RowDetails:
    """Everything that the runs of one row have in common, and the runs."""

    label: str
    settings: dict[str, Any]
    data: dict[str, Any]
    environment: int
    """Its number on the page."""
    runs: list[RunRecord]


@dataclass(frozen=True)
class Section:
    """One table and what belongs to it."""

    table: Table
    notes: list[str]
    badges: list[str]
    unfinished: list[RunRecord]
    legend: list[tuple[str, Style]]
    drawings: list[Drawing]
    remarks: list[str]
    """What was left out, and why."""
    gallery: Gallery | None
    rows: list[RowDetails]


@dataclass
class _Environments:
    """Environments by number; most runs share one."""

    known: list[Environment] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def number(self, environment: Environment) -> int:
        key = environment.model_dump_json()
        if key not in self._places:
            self.known.append(environment)
            self._places[key] = len(self.known)
        return self._places[key]


def make_sections(
    records: Sequence[RunRecord],
    files: Sequence[Path],
    *,
    columns: Sequence[str],
    sort: str | None,
    private: bool,
    plugged: Mapping[str, ReportColumn] = NO_PLUGINS,
) -> tuple[list[Section], list[Environment]]:
    """One section per group of comparable records, and the environments that they refer to by number from 1."""
    file_of = {id(record): file for record, file in zip(records, files, strict=False)}
    groups, tables = group_records(records), build_tables(records, columns, sort, plugged)
    by_size = sorted(range(len(groups)), key=lambda place: -len(groups[place].records))
    figured = set(by_size[:MOST_FIGURED])
    environments = _Environments()
    sections = []
    for place, (group, table) in enumerate(zip(groups, tables, strict=True)):
        view = view_of(group) if place in figured else None
        sections.append(_section(group, table, view, file_of, environments, private=private))
    return sections, environments.known


def _section(
    group: Group,
    table: Table,
    view: View | None,
    file_of: dict[int, Path],
    environments: _Environments,
    *,
    private: bool,
) -> Section:
    failures = set(notes.failures(group))
    remarks = []
    if view is None:
        remarks.append(
            f"Figures are drawn for the {MOST_FIGURED} largest tables: name these records alone to see theirs."
        )
    elif len(view.rows) < len(group.rows):
        remarks.append(
            f"The figures show the best {MOST_ROWS} of {len(group.rows)} rows: name fewer records to see the others."
        )
    found = None
    if view is not None:
        found, why_not = gallery(view, file_of, private=private)
        remarks += [why_not] if why_not else []
    return Section(
        table=table,
        notes=[note for note in all_notes(table, "Bold") if note not in failures],
        badges=_badges(group),
        unfinished=[run for row in group.rows for run in row.unfinished],
        legend=list(zip(view.labels, view.styles, strict=True)) if view is not None else [],
        drawings=_drawings(view) if view is not None else [],
        remarks=remarks,
        gallery=found,
        rows=[_details(row, label, environments) for row, label in zip(group.rows, labels_of(group.rows), strict=True)],
    )


def _badges(group: Group) -> list[str]:
    said = ["quick preset"] if any(row.runs[0].spec.preset == "quick" for row in group.rows) else []
    said += ["subset of the data"] if any(row_settings.subsets(row) for row in group.rows) else []
    unfinished = sum(len(row.unfinished) for row in group.rows)
    return said + ([f"{unfinished} not finished"] if unfinished else [])


def _drawings(view: View) -> list[Drawing]:
    from markupsafe import Markup

    from mamlbench.report.figures.export import inline_svg

    drawn = [
        Drawing(panel.title, panel.about, Markup(inline_svg(panel, view)), panel.lanes)
        for panels in FIGURES.values()
        for panel in panels
    ]
    return [each for each in drawn if each.svg]


def _details(row: Row, label: str, environments: _Environments) -> RowDetails:
    spec, run = row.runs[0].spec, row_settings.first(row)
    described: dict[str, Any] = {"preset": spec.preset}
    for kind in ("algorithm", "dataset", "backbone", "sampler"):
        component = getattr(spec, kind)
        described[kind] = component.name
        described |= {f"{kind}.{name}": value for name, value in component.options.items()}
    described |= {f"training.{name}": value for name, value in spec.training.model_dump(mode="json").items()}
    described |= {f"protocol.{name}": value for name, value in spec.protocol.model_dump(mode="json").items()}
    described |= {"device": spec.device, "engine": _engine(run)}
    described |= {"parameters": run.parameters, "order of the meta-gradient": run.gradient_order}
    return RowDetails(label, described, _data(run), environments.number(run.environment), row.runs)


def _engine(run: RunRecord) -> str:
    """Name, and why it was taken; what else was tried stands in the record."""
    return ": ".join(str(run.engine[key]) for key in ("name", "reason") if run.engine.get(key))


def _data(run: RunRecord) -> dict[str, Any]:
    if run.data is None:
        return {}
    facts = run.data.model_dump(mode="json", exclude={"split_hashes", "split_sizes"})
    facts |= {f"{split}, hash": hash_ for split, hash_ in run.data.split_hashes.items()}
    return facts | {f"{split}, classes": size for split, size in run.data.split_sizes.items()}
