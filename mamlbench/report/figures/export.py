"""Figures as files: inline SVG that follows a page's colors, and single PNG, PDF or SVG files."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mamlbench.errors import ConfigError
from mamlbench.report.figures.panels import FIGURES, Panel
from mamlbench.report.figures.style import INK, RULE, settings
from mamlbench.report.figures.view import View, elided, view_of
from mamlbench.report.formatting import printable
from mamlbench.report.table import notes
from mamlbench.report.table.groups import Group

WIDTH = 4.2
"""Of a panel, in inches."""
MOST_GROUPS = 6
"""Groups in one file."""
DOTS_PER_INCH = 200

# Colors that no style uses stand for the page's own until the SVG is written.
_PAGE_INK, _PAGE_RULE = "#010203", "#010204"


def inline_svg(panel: Panel, view: View) -> str:
    """Draw one panel as an ``<svg>`` element; empty where there is nothing to draw.

    Text takes the page's font, text and axes its colors (``currentColor`` and ``--rule``).
    """
    with drawing(_PAGE_INK, _PAGE_RULE):
        figure = empty_figure(WIDTH, panel.height(view))
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        if not panel.draw(axes, view):
            return ""
        return _for_page(saved(figure, "svg").decode(), panel.title)


def save_figure(name: str, groups: Sequence[Group], format_: str) -> bytes:
    """Draw one figure, one line of panels per group, as 'png', 'pdf' or 'svg'.

    Raises ConfigError where there are too many groups, or nothing to draw.
    """
    if len(groups) > MOST_GROUPS:
        raise ConfigError(
            f"One figure of {len(groups)} tables cannot be read: name the records of at most {MOST_GROUPS}."
        )
    panels, views = FIGURES[name], [view_of(group) for group in groups]
    heights = [max(panel.height(view) for panel in panels) + 0.9 for view in views]
    with drawing():
        figure = empty_figure(max(WIDTH * len(panels), 5.0), sum(heights))
        parts = figure.subfigures(len(groups), squeeze=False, height_ratios=heights)[:, 0]
        drawn = [_draw_group(part, panels, view) for part, view in zip(parts, views, strict=True)]
        if not any(drawn):
            raise ConfigError(f"None of these records has what the figure '{name}' shows.")
        return saved(figure, format_)


def _draw_group(part: Any, panels: Sequence[Panel], view: View) -> bool:
    part.suptitle(printable(notes.title(view.group)), fontsize=9)
    drawn = [
        panel.draw(axes, view)
        for panel, axes in zip(panels, part.subplots(1, len(panels), squeeze=False)[0], strict=True)
    ]
    if not any(panel.lanes for panel in panels):
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=style.color, linestyle=style.line, marker=style.marker, label=elided(label, 40))
            for label, style in zip(view.labels, view.styles, strict=True)
        ]
        part.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
    return any(drawn)


@contextmanager
def drawing(ink: str = INK, rule: str = RULE) -> Iterator[None]:
    """Draw with our settings of matplotlib; what it warns of (a script that no font has) is no news to a reader."""
    import matplotlib

    with matplotlib.rc_context(settings(ink, rule)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def empty_figure(width: float, height: float) -> Any:
    """Make an empty figure of that size in inches, laid out by what is in it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def saved(figure: Any, format_: str) -> bytes:
    """Write a figure without dates or versions: the same records give the same bytes."""
    nothing = {
        "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    out = io.BytesIO()
    figure.savefig(out, format=format_, dpi=DOTS_PER_INCH, metadata=nothing[format_])
    return out.getvalue()


def _for_page(svg: str, title: str) -> str:
    """An SVG document as an element of a page: no prolog, no global styles, no ids that other figures have too."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style\b.*?</style>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"<>]*"', "<g", svg)
    svg = re.sub(r'(<svg\b)[^>]*?(viewBox="[^"]*")[^>]*>', rf'\1 \2 role="img" aria-label="{title}">', svg, count=1)
    svg = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", svg)  # the page's font, in matplotlib's size
    return svg.replace(_PAGE_INK, "currentColor").replace(_PAGE_RULE, "var(--rule)").strip()
