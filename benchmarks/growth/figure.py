"""The figure of time and memory for networks of increasing size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from growth.measurement import GrowthResult
from mamlbench.report.figures.export import empty_figure, figure_bytes, figure_settings
from mamlbench.report.figures.style import INK, STYLES, Style

FORMATS = ("png", "svg", "pdf")
PANELS: tuple[tuple[str, Callable[[GrowthResult], float | None]], ...] = (
    ("seconds per meta-iteration", lambda result: result.seconds and result.seconds.median),
    ("peak memory in MiB", lambda result: result.memory and result.memory / 2**20),
)
SKIPPED: dict[str, tuple[str, str]] = {
    "memory": ("x", "did not fit into memory"),
    "time": ("+", "took too long"),
    "neither": ("1", "failed"),
}
"""Marker and legend of each reason for a skipped measurement."""
TOP = 0.95
"""Height of the markers of skipped measurements, as a fraction of the panel; curves stay below."""


def growth_figure(results: Sequence[GrowthResult], title: str, format_: str) -> bytes:
    """Draw two panels over the networks, in order; skipped measurements are marked at the top, with the reason.

    Lines connect only the sizes of one network family.

    Args:
        results: results of every network and algorithm.
        title: what was measured, on which machine.
        format_: 'png', 'svg' or 'pdf'.
    """
    networks = list(dict.fromkeys(result.network for result in results))
    with figure_settings():
        figure = empty_figure(max(4.0, 1.2 + 0.42 * len(networks)) * 2, 3.9)
        figure.suptitle(title, fontsize=9)
        panels = figure.subplots(1, len(PANELS))
        for axes, (name, value_of) in zip(panels, PANELS, strict=True):
            _draw(axes, results, networks, value_of)
            axes.set_ylabel(name)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return figure_bytes(figure, format_)


def _draw(
    axes: Any,
    results: Sequence[GrowthResult],
    networks: list[str],
    value_of: Callable[[GrowthResult], float | None],
) -> None:
    algorithms = list(dict.fromkeys(result.algorithm for result in results))
    for index, (algorithm, style) in enumerate(zip(algorithms, STYLES, strict=False)):
        own = [result for result in results if result.algorithm == algorithm]
        _draw_curves(axes, own, networks, value_of, style)
        offset = 0.22 * (index - (len(algorithms) - 1) / 2)  # so that markers do not hide each other
        for result in own:
            if result.skipped is not None:
                _mark_skipped(axes, networks.index(result.network) + offset, SKIPPED[result.skipped][0], style.color)
    for skipped, (marker, label) in SKIPPED.items():
        if any(result.skipped == skipped for result in results):
            axes.plot([], [], marker, color=INK, markersize=6, markeredgewidth=1.8, label=label)
    _scale(axes)
    axes.set_xlim(-0.5, len(networks) - 0.5)
    parameters = {result.network: result.parameters for result in results if result.parameters}
    ticks = [_tick_label(name, parameters.get(name)) for name in networks]
    axes.set_xticks(range(len(networks)), ticks, rotation=45, ha="right", rotation_mode="anchor")


def _draw_curves(
    axes: Any,
    results: Sequence[GrowthResult],
    networks: list[str],
    value_of: Callable[[GrowthResult], float | None],
    style: Style,
) -> None:
    """Draw the results of one algorithm, one line per network family."""
    label: str | None = results[0].algorithm
    for family in dict.fromkeys(_family(name) for name in networks):
        members = [result for result in results if _family(result.network) == family]
        x = [networks.index(result.network) for result in members]
        y = [value_of(result) or float("nan") for result in members]
        axes.plot(x, y, color=style.color, linestyle=style.line, marker=style.marker, label=label)
        label = None  # one entry in the legend per algorithm


def _mark_skipped(axes: Any, x: float, marker: str, color: str) -> None:
    axes.plot(x, TOP, marker, color=color, markersize=6, markeredgewidth=1.8, transform=axes.get_xaxis_transform())


def _scale(axes: Any) -> None:
    """Set a logarithmic scale with numbers at 1, 2 and 5, and space above for skipped measurements."""
    axes.set_yscale("log", subs=())
    axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5), numticks=20)
    axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would be math text, which is not parsed
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * (top / bottom) ** 0.12)


def _family(network: str) -> str:
    """Return the family of a network: ``conv4`` for ``conv4-64``."""
    return network.partition("-")[0]


def _tick_label(network: str, parameters: int | None) -> str:
    return network if parameters is None else f"{network} ({short_number(parameters)})"


def short_number(number: int) -> str:
    """Format a number with three digits: ``113 k``, ``8.02 M``."""
    power, unit = (6, "M") if number >= 999_500 else (3, "k")
    return f"{number / 10**power:.3g} {unit}"
