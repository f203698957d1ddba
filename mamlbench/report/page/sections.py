"""The sections of the page: one per table, with its figures, sample episodes and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.plugin import ReportColumn
from mamlbench.record import Environment, RunRecord
from mamlbench.report.figures.panels import FIGURES
from mamlbench.report.figures.style import Style
from mamlbench.report.figures.view import MAX_ROWS, View, labels_of, view_of
from mamlbench.report.page.episode_images import Gallery, gallery
from mamlbench.report.render.cell_grid import notes as all_notes
from mamlbench.report.table import notes, row_settings
from mamlbench.report.table.groups import Group, RowRuns, group_records
from mamlbench.report.table.table import NO_PLUGINS, Table, build_tables

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_TABLES_WITH_FIGURES = 4
"""Tables that get figures; a page with hundreds of figures would be too large."""


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    title: str
    about: str
    svg: Markup
    lanes: bool


@dataclass(frozen=True)
class RowDetails:
    """The settings that the runs of one row share, and the runs."""

    label: str
    settings: dict[str, Any]
    data: dict[str, Any]
    environment: int
    """Number of the environment on the page."""
    runs: list[RunRecord]


@dataclass(frozen=True)
class Section:
    """One table with its notes, figures, sample episodes and settings."""

    table: Table
    notes: list[str]
    badges: list[str]
    unfinished: list[RunRecord]
    legend: list[tuple[str, Style]]
    drawings: list[Drawing]
    remarks: list[str]
    """What was omitted, and why."""
    gallery: Gallery | None
    rows: list[RowDetails]


@dataclass
class _Environments:
    """Numbers the distinct environments from 1; most runs share one."""

    distinct: list[Environment] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, environment: Environment) -> int:
        key = environment.model_dump_json()
        if key not in self._numbers:
            self.distinct.append(environment)
            self._numbers[key] = len(self.distinct)
        return self._numbers[key]


def make_sections(
    records: Sequence[RunRecord],
    files: Sequence[Path],
    *,
    columns: Sequence[str],
    sort: str | None,
    private: bool,
    plugin_columns: Mapping[str, ReportColumn] = NO_PLUGINS,
    metric: str | None = None,
) -> tuple[list[Section], list[Environment]]:
    """Make one section per group of comparable records, and list the environments that they refer to by number."""
    file_of = {id(record): file for record, file in zip(records, files, strict=False)}
    groups = group_records(records, metric)
    tables = build_tables(records, columns, sort, plugin_columns, metric)
    by_size = sorted(range(len(groups)), key=lambda index: -len(groups[index].records))
    with_figures = set(by_size[:MAX_TABLES_WITH_FIGURES])
    environments = _Environments()
    sections = []
    for index, (group, table) in enumerate(zip(groups, tables, strict=True)):
        view = view_of(group) if index in with_figures else None
        sections.append(_section(group, table, view, file_of, environments, private=private))
    return sections, environments.distinct


def _section(
    group: Group,
    table: Table,
    view: View | None,
    file_of: dict[int, Path],
    environments: _Environments,
    *,
    private: bool,
) -> Section:
    failures = set(notes.failures(group))  # the page lists them separately
    remarks = _figure_remarks(group, view)
    sample_gallery = None
    if view is not None:
        sample_gallery, remark = gallery(view, file_of, private=private)
        remarks += [remark] if remark else []
    return Section(
        table=table,
        notes=[note for note in all_notes(table, "Bold") if note not in failures],
        badges=_badges(group),
        unfinished=[run for row in group.rows for run in row.unfinished],
        legend=list(zip(view.labels, view.styles, strict=True)) if view is not None else [],
        drawings=_drawings(view) if view is not None else [],
        remarks=remarks,
        gallery=sample_gallery,
        rows=[_details(row, label, environments) for row, label in zip(group.rows, labels_of(group.rows), strict=True)],
    )


def _figure_remarks(group: Group, view: View | None) -> list[str]:
    if view is None:
        return [
            f"Figures are drawn for the {MAX_TABLES_WITH_FIGURES} largest tables only. To see figures of this table, "
            "report its records alone."
        ]
    if len(view.rows) < len(group.rows):
        return [f"The figures show the best {MAX_ROWS} of {len(group.rows)} rows. Report fewer records to see others."]
    return []


def _badges(group: Group) -> list[str]:
    badges = ["quick preset"] if any(row.runs[0].spec.preset == "quick" for row in group.rows) else []
    badges += ["subset of the data"] if any(row_settings.subsets(row) for row in group.rows) else []
    unfinished = sum(len(row.unfinished) for row in group.rows)
    return badges + ([f"{unfinished} not finished"] if unfinished else [])


def _drawings(view: View) -> list[Drawing]:
    from markupsafe import Markup

    from mamlbench.report.figures.export import inline_svg

    drawings = [
        Drawing(panel.title, panel.about, Markup(inline_svg(panel, view)), panel.lanes)
        for panels in FIGURES.values()
        for panel in panels
    ]
    return [drawing for drawing in drawings if drawing.svg]


def _details(row: RowRuns, label: str, environments: _Environments) -> RowDetails:
    spec, run = row.runs[0].spec, row_settings.representative_run(row)
    settings: dict[str, Any] = {"preset": spec.preset}
    for kind in ("algorithm", "dataset", "backbone", "sampler"):
        component = getattr(spec, kind)
        settings[kind] = component.name
        settings |= {f"{kind}.{name}": value for name, value in component.options.items()}
    settings |= {f"training.{name}": value for name, value in spec.training.model_dump(mode="json").items()}
    settings |= {f"protocol.{name}": value for name, value in spec.protocol.model_dump(mode="json").items()}
    settings |= {"device": spec.device, "engine": _engine(run), "precision": spec.precision}
    settings |= {"parameters": run.parameters, "order of the meta-gradient": run.gradient_order}
    return RowDetails(label, settings, _data(run), environments.number(run.environment), row.runs)


def _engine(run: RunRecord) -> str:
    """Return the engine's name and the reason for its choice. The record also lists the alternatives."""
    return ": ".join(str(run.engine[key]) for key in ("name", "reason") if run.engine.get(key))


def _data(run: RunRecord) -> dict[str, Any]:
    if run.data is None:
        return {}
    facts = run.data.model_dump(mode="json", exclude={"split_hashes", "split_sizes"})
    facts |= {f"{split}, hash": hash_ for split, hash_ in run.data.split_hashes.items()}
    return facts | {f"{split}, classes": size for split, size in run.data.split_sizes.items()}
