"""A self-contained HTML page of tables, figures, sample episodes and settings: it loads nothing.

Its one script stands in it, and the page's policy allows that script alone, by its hash. Without it everything is
there; with it tables can be sorted, points read, rows hidden, and what is chosen is part of the address.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mamlbench.plugin import ReportColumn
from mamlbench.record import RunRecord
from mamlbench.report.across import AcrossScores
from mamlbench.report.formatting import printable
from mamlbench.report.page.across_section import make_across_section
from mamlbench.report.page.drawings import json_for_script
from mamlbench.report.page.running_rows import RunningRow
from mamlbench.report.page.sections import make_sections
from mamlbench.report.render.csv_json import as_data
from mamlbench.report.table.table import NO_PLUGINS

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

    from mamlbench.record.runs_in_progress import RunInProgress

SCRIPTS = ("view.js", "rows.js", "tables.js", "figures.js", "points.js", "episodes.js")
"""Parts of the script, in order: each may use what those before it define."""


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
    title: str = "",
    running: Sequence[RunInProgress] = (),
    live: str = "",
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
        title: of the page; empty: a general one.
        running: runs that have no record yet.
        live: the version of what is shown, for a page of ``mamlbench serve``, which asks for a newer one; else empty.

    Raises ConfigError for an unknown column or metric.
    """
    from mamlbench import __version__

    sections, environments = make_sections(
        records, files, columns=columns, sort=sort, private=private, plugin_columns=plugin_columns, metric=metric
    )
    started = sorted(record.started[:10] for record in records) or [""]
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
            title=title,
            running=[RunningRow.of(run) for run in running],
            live=live,
            script=page_script(live=bool(live)),
            finished=sum(record.status == "finished" for record in records),
        )
    )


@cache
def page_environment() -> jinja2.Environment:
    """Return the environment that renders the templates; text is escaped, and freed from hidden characters."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mamlbench.report.page"),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["table_json"] = lambda table: json_for_script(as_data(table))
    environment.globals |= {"script": page_script(), "live": ""}
    return environment


class PageScript(NamedTuple):
    """The script of a page."""

    text: Markup
    sources: Markup
    """The sources that the page's policy allows: the hash of the script."""


@cache
def page_script(*, live: bool = False) -> PageScript:
    """Return the script of a page, of one that ``mamlbench serve`` shows if ``live``."""
    from markupsafe import Markup

    folder = resources.files("mamlbench.report.page") / "templates"
    names = (*SCRIPTS, *(["live.js"] if live else []), "start.js")
    text = "\n" + "\n".join((folder / name).read_text(encoding="utf-8").replace("\r\n", "\n") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return PageScript(Markup(text), Markup(f"'sha256-{digest}'"))


def _printable(value: Any) -> Any:
    """Remove characters from text that could hide or reverse it. Markup objects are returned unchanged."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else printable(value)
