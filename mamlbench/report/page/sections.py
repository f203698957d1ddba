"""The sections of the page: one per table, with its figures, sample episodes and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mamlbench.plugin import ReportColumn
from mamlbench.record import Environment, RunRecord
from mamlbench.report.figures.style import Style
from mamlbench.report.figures.view import MAX_ROWS, View, labels_of, view_of
from mamlbench.report.formatting import with_half_width
from mamlbench.report.page.drawings import Drawing, drawings_of
from mamlbench.report.page.episode_images import Gallery, gallery
from mamlbench.report.page.summary import summary
from mamlbench.report.render.cell_grid import notes as all_notes
from mamlbench.report.table import notes, row_settings
from mamlbench.report.table.groups import Group, RowRuns, group_records
from mamlbench.report.table.table import NO_PLUGINS, Table, tables_of_groups

MAX_TABLES_WITH_FIGURES = 4
"""Tables that get figures; a page with hundreds of figures would be too large."""


@dataclass(frozen=True)
class RowDetails:
    """The settings that the runs of one row share, and the runs."""

    label: str
    settings: dict[str, Any]
    data: dict[str, Any]
    environment: int
    """Number of the environment on the page."""
    runs: list[RunRecord]
    scores: list[str]
    """Of each run; empty if it was not tested."""


@dataclass(frozen=True)
class Section:
    """One table with its notes, figures, sample episodes and settings."""

    table: Table
    summary: str
    keys: list[str]
    """What each row is called in all parts of the page, in the order of the table."""
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
    tables = tables_of_groups(groups, columns, sort, plugin_columns)
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
    rows = [row.runs for row in table.rows if row.runs is not None]
    keys = labels_of(rows)
    key_of = {id(row): key for row, key in zip(rows, keys, strict=True)}
    view = None if view is None else replace(view, labels=[key_of[id(row)] for row in view.rows])
    remarks = _figure_remarks(group, view)
    sample_gallery = None
    if view is not None:
        sample_gallery, remark = gallery(view, file_of, private=private)
        remarks += [remark] if remark else []
    return Section(
        table=table,
        summary=summary(group, rows, keys),
        keys=keys,
        notes=[note for note in all_notes(table, "Bold") if note not in failures],
        badges=_badges(group),
        unfinished=[run for row in group.rows for run in row.unfinished],
        legend=list(zip(view.labels, view.styles, strict=True)) if view is not None else [],
        drawings=drawings_of(view) if view is not None else [],
        remarks=remarks,
        gallery=sample_gallery,
        rows=[_details(row, key, group, environments) for row, key in zip(rows, keys, strict=True)],
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


def _details(row: RowRuns, label: str, group: Group, environments: _Environments) -> RowDetails:
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
    scores = [_score(run, group) for run in row.runs]
    return RowDetails(label, settings, _data(run), environments.number(run.environment), row.runs, scores)


def _score(run: RunRecord, group: Group) -> str:
    """Return a run's score in the shown metric and the first mode, with its interval over episodes."""
    metric = run.test.metrics.get(group.metric) if run.test is not None else None
    result = metric.modes.get(group.modes[0]) if metric is not None and group.modes else None
    if metric is None or result is None:
        return ""
    return with_half_width(result.score.mean, (result.score.high - result.score.low) / 2, metric.unit == "%")


def _engine(run: RunRecord) -> str:
    """Return the engine's name and the reason for its choice. The record also lists the alternatives."""
    return ": ".join(str(run.engine[key]) for key in ("name", "reason") if run.engine.get(key))


def _data(run: RunRecord) -> dict[str, Any]:
    if run.data is None:
        return {}
    facts = run.data.model_dump(mode="json", exclude={"split_hashes", "split_sizes"})
    facts |= {f"{split}, hash": hash_ for split, hash_ in run.data.split_hashes.items()}
    return facts | {f"{split}, classes": size for split, size in run.data.split_sizes.items()}
