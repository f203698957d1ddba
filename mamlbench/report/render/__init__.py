"""Output formats, one file each: from a table to terminal text, Markdown, LaTeX, CSV, JSON or SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mamlbench.report.render.csv_json import to_csv, to_json
from mamlbench.report.render.latex import to_latex
from mamlbench.report.render.markdown import to_markdown
from mamlbench.report.table.table import Table


def to_svg(tables: Sequence[Table]) -> str:
    """Render the terminal output as SVG."""
    from mamlbench.report.render.terminal import to_svg as draw  # imports rich, which the other formats do not need

    return draw(tables)


RENDERERS: dict[str, Callable[[Sequence[Table]], str]] = {
    "md": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
    "svg": to_svg,
}
"""Every format that can be written to a file."""
