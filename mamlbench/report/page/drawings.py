"""Figures as the page shows them: plots in SVG, with the numbers behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mamlbench.report.figures.panels import FIGURES, Panel
from mamlbench.report.figures.view import View

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Plot:
    """One plot of a figure."""

    x_axis: str
    """What its x axis shows, if the figure has a plot for each of several; otherwise empty."""
    svg: Markup
    data: Markup
    """The numbers behind it, as JSON for a script element."""


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    name: str
    """Short and unique within its section."""
    title: str
    about: str
    plots: list[Plot]


def json_for_script(value: Any) -> Markup:
    """Return JSON that can stand in a script element: text in it can neither end the element nor begin a comment."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def make_plot(
    title: str, height: float, draw: Callable[[Any], bool], keys: Sequence[str], x_axis: str = ""
) -> Plot | None:
    """Draw one plot, ``height`` inches high; None if ``draw`` drew nothing.

    Args:
        title: of the plot, for those who do not see it.
        height: in inches.
        draw: draws into axes, and returns whether there was anything to draw.
        keys: what each row that it draws is called on the page.
        x_axis: as in ``Plot``.
    """
    from markupsafe import Markup

    from mamlbench.report.figures.export import page_figure

    figure = page_figure(title, height, draw)
    if figure is None:
        return None
    data = {"keys": list(keys), "columns": figure.data.columns, "points": figure.data.points}
    return Plot(x_axis, Markup(figure.svg), json_for_script(data))


def drawings_of(view: View) -> list[Drawing]:
    """Draw every figure of a table that there is data for."""
    drawings = []
    for name, panels in FIGURES.items():
        plots = [plot for panel in panels if (plot := _plot(panel, view)) is not None]
        if plots:
            title = panels[0].title.partition(", by ")[0]
            drawings.append(Drawing(name, title, panels[0].about, plots))
    return drawings


def _plot(panel: Panel, view: View) -> Plot | None:
    return make_plot(
        panel.title, panel.height(view), lambda axes: panel.draw(axes, view), view.labels, x_axis=panel.x_axis
    )
