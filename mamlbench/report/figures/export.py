"""Exporting figures: inline SVG in the colors of the page, and single PNG, PDF or SVG files."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from mamlbench.errors import ConfigError
from mamlbench.report.figures.hover_points import ROW_ID, FigureData, figure_data, name_artists
from mamlbench.report.figures.panels import FIGURES, Panel
from mamlbench.report.figures.style import INK, RULE, settings
from mamlbench.report.figures.view import View, elide, view_of
from mamlbench.report.formatting import printable
from mamlbench.report.table import notes
from mamlbench.report.table.groups import Group

WIDTH = 4.2
"""Width of a panel in inches."""
LEGEND_LINE = 0.18
"""Height of a line of the legend, in inches."""
LEGEND_HANDLE, LEGEND_CHARACTER = 0.62, 0.068
"""Width of a line sample with its gaps, and of a character, in inches."""
TITLE_CHARACTER = 0.072
"""Width of a character of the title, in inches."""
MAX_LABEL_LENGTH = 60
"""Characters of a row's name in a legend."""
MAX_GROUPS = 6
"""Groups in one file."""
DOTS_PER_INCH = 200

# Placeholders for the page's own colors, which no style uses. They are replaced in the SVG text.
_PAGE_INK, _PAGE_RULE = "#010203", "#010204"


class PageFigure(NamedTuple):
    """A figure as an element of a page."""

    svg: str
    """An ``<svg>`` element; what belongs to a row has the attribute ``data-row`` with the row's number."""
    data: FigureData


def page_figure(title: str, height: float, draw: Callable[[Any], bool]) -> PageFigure | None:
    """Draw into axes, ``height`` inches high, as an ``<svg>`` element of a page; None if ``draw`` drew nothing.

    Text uses the page's font; text and axes use its colors (``currentColor`` and ``--rule``). Without matplotlib, which
    mamlbench-reader leaves out, nothing is drawn: a page has its tables all the same.
    """
    if not can_draw():
        return None
    with figure_settings(_PAGE_INK, _PAGE_RULE):
        figure = empty_figure(WIDTH, height)
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        if not draw(axes):
            return None
        name_artists(axes)
        svg = _as_page_element(figure_bytes(figure, "svg").decode(), title)
        return PageFigure(svg, figure_data(axes))


def save_figure(name: str, groups: Sequence[Group], format_: str) -> bytes:
    """Draw one figure, one line of panels per group, as 'png', 'pdf' or 'svg'.

    Raises ConfigError if there are too many groups, or if there is nothing to draw.
    """
    if len(groups) > MAX_GROUPS:
        raise ConfigError(
            f"One figure cannot show {len(groups)} tables. Name the records of at most {MAX_GROUPS} tables."
        )
    panels, views = FIGURES[name], [view_of(group) for group in groups]
    width = max(WIDTH * len(panels), 5.0)
    lines = [
        0 if any(panel.lanes for panel in panels) else -(-len(v.rows) // legend_columns(v.labels, width)) for v in views
    ]
    heights = [
        max(panel.height(view) for panel in panels) + 0.72 + LEGEND_LINE * number
        for view, number in zip(views, lines, strict=True)
    ]
    with figure_settings():
        figure = empty_figure(width, sum(heights))
        parts = figure.subfigures(len(groups), squeeze=False, height_ratios=heights)[:, 0]
        drawn = [_draw_group(part, panels, view, width) for part, view in zip(parts, views, strict=True)]
        if not any(drawn):
            raise ConfigError(f"None of these records has data for the figure '{name}'.")
        return figure_bytes(figure, format_)


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many names stand side by side in a legend so many inches wide."""
    longest = max((len(elide(label, MAX_LABEL_LENGTH)) for label in labels), default=0)
    return max(int(width / (LEGEND_HANDLE + LEGEND_CHARACTER * longest)), 1)


def _draw_group(part: Any, panels: Sequence[Panel], view: View, width: float) -> bool:
    left_out = f"\n{view.left_out}" if view.left_out else ""
    title = "\n".join(textwrap.wrap(printable(notes.title(view.group)), int(width / TITLE_CHARACTER)))
    part.suptitle(title + left_out, fontsize=9)
    drawn = [
        panel.draw(axes, view)
        for panel, axes in zip(panels, part.subplots(1, len(panels), squeeze=False)[0], strict=True)
    ]
    if not any(panel.lanes for panel in panels):
        from matplotlib.lines import Line2D

        handles = [
            Line2D(
                [],
                [],
                color=style.color,
                linestyle=style.line,
                marker=style.marker,
                label=elide(label, MAX_LABEL_LENGTH),
            )
            for label, style in zip(view.labels, view.styles, strict=True)
        ]
        part.legend(handles=handles, loc="outside lower center", ncols=legend_columns(view.labels, width))
    return any(drawn)


@contextmanager
def figure_settings(ink: str = INK, rule: str = RULE) -> Iterator[None]:
    """Apply the figures' matplotlib settings, and hide its warnings (characters missing from a font)."""
    import matplotlib

    with matplotlib.rc_context(settings(ink, rule)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def empty_figure(width: float, height: float) -> Any:
    """Make an empty figure of this size in inches, with a layout that adapts to its content."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def figure_bytes(figure: Any, format_: str) -> bytes:
    """Encode a figure without dates or versions, so that the same records give the same bytes."""
    no_metadata = {
        "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format_, dpi=DOTS_PER_INCH, metadata=no_metadata[format_])
    return buffer.getvalue()


def _as_page_element(svg: str, title: str) -> str:
    """Turn an SVG document into an element of a page: no prolog, no global styles, no ids that could clash."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style\b.*?</style>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(rf'<g id="{ROW_ID}([0-9]+)"', r'<g data-row="\1"', svg)
    svg = re.sub(r'<g id="[^"<>]*"', "<g", svg)
    svg = re.sub(r'(<svg\b)[^>]*?(viewBox="[^"]*")[^>]*>', rf'\1 \2 role="img" aria-label="{title}">', svg, count=1)
    svg = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", svg)  # the page's font, in matplotlib's size
    svg = re.sub(r"<[^>]*>", _short_tag, re.sub(r">\s+<", "><", svg))
    return svg.replace(_PAGE_INK, "currentColor").replace(_PAGE_RULE, "var(--rule)").strip()


def _short_tag(match: re.Match[str]) -> str:
    """Shorten a tag: coordinates in hundredths of a point, no list of fonts, no line breaks, no rotation by nothing."""
    tag = re.sub(r"(\.[0-9]{2})[0-9]+", r"\1", match[0])
    tag = re.sub(r"; font-family: [^;\"]*", "", tag)
    return re.sub(r"\s+", " ", re.sub(r' transform="rotate\(-0 [^"]*"', "", tag))
