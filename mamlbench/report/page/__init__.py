"""A self-contained HTML page of tables, figures, sample episodes and settings, without network access or scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.plugin import ReportColumn
from mamlbench.record import RunRecord
from mamlbench.report.across import AcrossScores
from mamlbench.report.formatting import printable
from mamlbench.report.page.across_section import make_across_section
from mamlbench.report.page.sections import make_sections
from mamlbench.report.table.table import NO_PLUGINS

if TYPE_CHECKING:
    import jinja2


def render_page(
    records: Sequence[RunRecord],
    files: Sequence[Path] = (),
    *,
    columns: Sequence[str] = (),
    sort: str | None = None,
    private: bool = False,
    problems: Sequence[str] = (),
    plugin_columns: Mapping[str, ReportColumn] = NO_PLUGINS,
    metric: str | None = None,
    across: AcrossScores | None = None,
) -> str:
    """Render the page of ``records`` as HTML.

    Args:
        records: finished or not.
        files: the file of each record, next to its artifacts; without them no sample episodes are shown.
        columns: columns of the tables; the default ones if empty.
        sort: column to sort the tables by.
        private: show images even of data sets whose license forbids it.
        problems: one sentence for each skipped file.
        plugin_columns: columns from plugins, by name.
        metric: the metric of tables and figures; the first of each table if None.
        across: scores to compare across data sets, in a section of their own before the others.

    Raises ConfigError for an unknown column or metric.
    """
    from mamlbench import __version__

    sections, environments = make_sections(
        records, files, columns=columns, sort=sort, private=private, plugin_columns=plugin_columns, metric=metric
    )
    started = sorted(record.started[:10] for record in records)
    return (
        page_environment()
        .get_template("page.html")
        .render(
            across=make_across_section(across) if across is not None else None,
            sections=sections,
            environments=environments,
            records=records,
            problems=problems,
            private=private,
            first=started[0],
            last=started[-1],
            version=__version__,
            finished=sum(record.status == "finished" for record in records),
        )
    )


@cache
def page_environment() -> jinja2.Environment:
    """Return the environment that renders the templates; text is escaped, and freed from hidden characters."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("mamlbench.report.page"),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: Any) -> Any:
    """Remove characters from text that could hide or reverse it. Markup objects are returned unchanged."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else printable(value)
