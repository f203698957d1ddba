"""Time and memory as the network grows, as one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mamlbench.bench.backbone_growth import Cell
from mamlbench.report.figures.export import empty_figure, figure_bytes, figure_settings
from mamlbench.report.figures.style import INK, STYLES

FORMATS = ("png", "svg", "pdf")
PANELS: tuple[tuple[str, Callable[[Cell], float | None]], ...] = (
    ("seconds per meta-iteration", lambda cell: cell.seconds and cell.seconds.median),
    ("peak memory in MiB", lambda cell: cell.memory and cell.memory / 2**20),
)
SKIPPED: dict[str, tuple[str, str]] = {
    "memory": ("x", "did not fit into memory"),
    "time": ("+", "took too long"),
    "neither": ("1", "failed"),
}
"""Marker and words of each reason for a skipped cell."""
TOP = 0.95
"""Where the markers of skipped cells stand, as a share of the panel's height; curves stay below."""


def growth_figure(cells: Sequence[Cell], title: str, format_: str) -> bytes:
    """Draw two panels over the networks in the order measured; what was skipped is marked at the top, with the reason.

    Lines connect the sizes of one network, not one network with another.

    Args:
        cells: of every network and algorithm.
        title: what was measured, on which machine.
        format_: 'png', 'svg' or 'pdf'.
    """
    networks = list(dict.fromkeys(cell.network for cell in cells))
    with figure_settings():
        figure = empty_figure(max(4.0, 1.2 + 0.42 * len(networks)) * 2, 3.9)
        figure.suptitle(title, fontsize=9)
        panels = figure.subplots(1, len(PANELS))
        for axes, (name, value) in zip(panels, PANELS, strict=True):
            _draw(axes, cells, networks, value)
            axes.set_ylabel(name)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return figure_bytes(figure, format_)


def _draw(axes: Any, cells: Sequence[Cell], networks: list[str], value: Callable[[Cell], float | None]) -> None:
    algorithms = list(dict.fromkeys(cell.algorithm for cell in cells))
    places = {name: place for place, name in enumerate(networks)}
    for number, (algorithm, style) in enumerate(zip(algorithms, STYLES, strict=False)):
        own = [cell for cell in cells if cell.algorithm == algorithm]
        label: str | None = algorithm
        for family in dict.fromkeys(_family(name) for name in networks):
            of_family = [cell for cell in own if _family(cell.network) == family]
            axes.plot(
                [places[cell.network] for cell in of_family],
                [value(cell) or float("nan") for cell in of_family],
                color=style.color,
                linestyle=style.line,
                marker=style.marker,
                label=label,
            )
            label = None  # one entry in the legend for each algorithm
        beside = 0.22 * (number - (len(algorithms) - 1) / 2)  # so that one algorithm does not hide another
        for cell in own:
            if cell.skipped is not None:
                _mark_skipped(axes, places[cell.network] + beside, SKIPPED[cell.skipped][0], style.color)
    for skipped, (marker, words) in SKIPPED.items():
        if any(cell.skipped == skipped for cell in cells):
            axes.plot([], [], marker, color=INK, markersize=6, markeredgewidth=1.8, label=words)
    _scale(axes)
    axes.set_xlim(-0.5, len(networks) - 0.5)
    parameters = {cell.network: cell.parameters for cell in cells if cell.parameters}
    axes.set_xticks(
        range(len(networks)),
        [_named(name, parameters.get(name)) for name in networks],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )


def _mark_skipped(axes: Any, place: float, marker: str, color: str) -> None:
    axes.plot(place, TOP, marker, color=color, markersize=6, markeredgewidth=1.8, transform=axes.get_xaxis_transform())


def _scale(axes: Any) -> None:
    """Logarithmic, with numbers at 1, 2 and 5, and room above for what was skipped."""
    axes.set_yscale("log", subs=())
    axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5), numticks=20)
    axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would be formulas, which our figures do not parse
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * (top / bottom) ** 0.12)


def _family(network: str) -> str:
    """``conv4`` of ``conv4-64``: what a line may connect."""
    return network.partition("-")[0]


def _named(network: str, parameters: int | None) -> str:
    return network if parameters is None else f"{network} ({short(parameters)})"


def short(parameters: int) -> str:
    """A number of parameters in three digits: ``113 k``, ``8.02 M``."""
    power, unit = (6, "M") if parameters >= 999_500 else (3, "k")
    return f"{parameters / 10**power:.3g} {unit}"
