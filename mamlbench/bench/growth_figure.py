"""Time and memory as the network grows, as one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mamlbench.bench.growth import Cell
from mamlbench.report.figures.export import drawing, empty_figure, saved
from mamlbench.report.figures.style import STYLES

FORMATS = ("png", "svg", "pdf")
PANELS: tuple[tuple[str, Callable[[Cell], float | None]], ...] = (
    ("seconds per meta-iteration", lambda cell: cell.seconds and cell.seconds.median),
    ("peak memory in MiB", lambda cell: cell.memory and cell.memory / 2**20),
)
SKIPPED = 0.98
"""Where a cross stands for a skipped cell, as a share of the panel's height."""


def growth_figure(cells: Sequence[Cell], title: str, format_: str) -> bytes:
    """Draw two panels, a line for each algorithm over the networks in the order measured; crosses are skipped cells.

    Args:
        cells: of every network and algorithm.
        title: what was measured, on which machine.
        format_: 'png', 'svg' or 'pdf'.
    """
    networks = list(dict.fromkeys(cell.network for cell in cells))
    with drawing():
        figure = empty_figure(max(4.0, 1.2 + 0.42 * len(networks)) * 2, 3.6)
        figure.suptitle(title, fontsize=9)
        panels = figure.subplots(1, len(PANELS))
        for axes, (name, value) in zip(panels, PANELS, strict=True):
            _draw(axes, cells, networks, value)
            axes.set_ylabel(name)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return saved(figure, format_)


def _draw(axes: Any, cells: Sequence[Cell], networks: list[str], value: Callable[[Cell], float | None]) -> None:
    algorithms = list(dict.fromkeys(cell.algorithm for cell in cells))
    for number, (algorithm, style) in enumerate(zip(algorithms, STYLES, strict=False)):
        found = {cell.network: value(cell) for cell in cells if cell.algorithm == algorithm}
        heights = [found.get(name) or float("nan") for name in networks]
        axes.plot(heights, color=style.colour, linestyle=style.line, marker=style.marker, label=algorithm)
        gone = [place for place, name in enumerate(networks) if name in found and found[name] is None]
        for place in gone:  # side by side, so that one does not hide the other
            axes.plot(
                place + 0.2 * (number - 1), SKIPPED, "x", color=style.colour, markersize=6, markeredgewidth=1.8,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would be formulas, which our figures do not parse
    axes.yaxis.set_minor_formatter("")
    axes.set_xlim(-0.5, len(networks) - 0.5)
    parameters = {cell.network: cell.parameters for cell in cells if cell.parameters}
    axes.set_xticks(range(len(networks)), [_named(name, parameters.get(name)) for name in networks], rotation=45,
                    ha="right", rotation_mode="anchor")  # fmt: skip


def _named(network: str, parameters: int | None) -> str:
    return network if parameters is None else f"{network} ({short(parameters)})"


def short(parameters: int) -> str:
    """A number of parameters in three digits: ``113 k``, ``8.02 M``."""
    power, unit = (6, "M") if parameters >= 999_500 else (3, "k")
    return f"{parameters / 10**power:.3g} {unit}"
