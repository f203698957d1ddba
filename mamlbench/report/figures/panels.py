"""Every figure there is: one function each, which draws into given axes and says whether there was anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from mamlbench.report.figures import series
from mamlbench.report.figures.style import SEGMENTS, Style
from mamlbench.report.figures.view import View, device_seconds, elided, is_usable, measured_elsewhere, score_of
from mamlbench.report.formatting import number
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.table.groups import Row

_EDGE: dict[str, Any] = {"edgecolor": "white", "linewidth": 0}

LABEL = 48
"""Characters of a row's name above its lane."""


MANY_STEPS = 12
"""Adaptation steps beyond which their axis is logarithmic from 2 on."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    about: str
    draw: Callable[[Any, View], bool]
    lanes: bool = False
    """Whether each row has a lane of its own, so that the panel grows with the rows."""

    def height(self, view: View) -> float:
        """In inches, for a width of 4.2."""
        return 0.75 + 0.62 * max(len(view.rows), 1) if self.lanes else 2.7


def _learning(clock: str, name: str, axes: Any, view: View) -> bool:
    for row, style in _rows(view):
        curve = series.learning_curve(row, clock, view.scale)
        if not curve.x:
            continue
        if curve.complete:
            _draw_curve(axes, curve, style)
        else:
            axes.plot(curve.x, curve.mean, color=style.color, linewidth=0.8, linestyle=style.line)
            axes.plot(curve.x[-1:], curve.mean[-1:], "x", color=style.color, markersize=7)
    axes.set_xlim(left=0)
    axes.set_xlabel(name)
    axes.set_ylabel(f"validation {view.metric}")
    return bool(axes.lines)


def _draw_curve(axes: Any, curve: series.Curve, style: Style) -> None:
    stride = max(len(curve.x) // 8, 1)
    axes.plot(curve.x, curve.mean, color=style.color, linestyle=style.line, marker=style.marker, markevery=stride)
    if curve.low != curve.high:
        axes.fill_between(curve.x, curve.low, curve.high, color=style.color, alpha=0.15, linewidth=0)


def _steps(axes: Any, view: View) -> bool:
    from matplotlib.ticker import MaxNLocator

    for row, style in _rows(view):
        curve = series.step_curve(row, view.scale)
        if curve.x:
            _draw_curve(axes, curve, style)
    most = max((max(line.get_xdata(), default=0) for line in axes.lines), default=0)
    if most > MANY_STEPS:  # else the methods with few steps would be squeezed into the left edge
        axes.set_xscale("symlog", linthresh=2)
        axes.set_xticks([step for step in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if step <= most])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("adaptation steps")
    axes.set_ylabel(f"test {view.metric}")
    return bool(axes.lines)


def _pareto(axes: Any, view: View) -> bool:
    elsewhere = measured_elsewhere(view.rows)
    points: list[tuple[float, float]] = []
    seconds_seen = []
    for (row, style), other in zip(_rows(view), elsewhere, strict=True):
        found = estimate(row, view.mode, "score")
        seconds, score = device_seconds(row), score_of(row, view.mode)
        if seconds is None or score is None or found is None:
            continue
        seconds_seen.append(seconds)
        half = view.scale * found.half_width if is_usable(found.half_width) else 0.0
        axes.errorbar(
            [seconds],
            [view.scale * score],
            yerr=[half],
            color=style.color,
            marker=style.marker,
            markersize=7,
            capsize=2.5,
            elinewidth=1,
            linestyle="none",
            fillstyle="none" if other else "full",
        )
        if not other:
            points.append((seconds, view.scale * score))
    front = [points[place] for place in series.pareto_front(points, higher_is_better=view.higher_is_better)]
    if len(points) > 1:
        axes.plot(*zip(*front, strict=True), drawstyle="steps-post", color="#888888", linewidth=1, zorder=1)
    axes.set_xlabel("device seconds, per run")
    axes.set_ylabel(f"test {view.metric}")
    axes.margins(0.12)
    axes.set_xlim(0, 1.08 * max(seconds_seen, default=0.0) or 1.0)
    return bool(axes.lines)


def _distribution(axes: Any, view: View) -> bool:
    middles, width, found = series.distributions(view.rows, view.mode, view.scale)
    highest = max((max(*each.trained, *each.untrained) for each in found if each is not None), default=0.0)
    for place, ((_, style), spread) in enumerate(zip(_rows(view), found, strict=True)):
        if spread is None:
            continue
        base = place + 0.62
        for sign, shares in ((-1, spread.trained), (1, spread.untrained)):
            heights = [sign * 0.36 * share / highest for share in shares]
            looks = {"color": style.color} if sign < 0 else {"facecolor": "none", "edgecolor": style.color}
            axes.bar(middles, heights, 0.86 * width, bottom=base, linewidth=0.8, **looks)
        axes.plot([spread.mean, spread.mean], [base - 0.4, base], color=style.color, linewidth=1)
    axes.set_xlabel(f"{view.metric}, of one episode")
    return _lanes(axes, view, drawn=any(each is not None for each in found))


def _seeds(axes: Any, view: View) -> bool:
    drawn = False
    for place, (row, style) in enumerate(_rows(view)):
        results = [test.modes[view.mode] for test in row.tests if view.mode in test.modes]
        scores = [each.score for each in results if is_usable(each.score.mean)]
        if not scores:
            continue
        drawn, base = True, place + 0.62
        for number_, score in enumerate(scores):
            y = base + 0.3 * ((number_ + 0.5) / len(scores) - 0.5)
            ends = [view.scale * value for value in (score.low, score.high) if is_usable(value)]
            axes.plot(ends, [y] * len(ends), color=style.color, linewidth=0.7)
            axes.plot([view.scale * score.mean], [y], style.marker, color=style.color)
        if len(scores) > 1:
            mean = view.scale * sum(score.mean for score in scores) / len(scores)
            axes.plot([mean, mean], [base - 0.27, base + 0.27], color=style.color, linewidth=2)
    axes.set_xlabel(f"test {view.metric}")
    return _lanes(axes, view, drawn=drawn)


def _time(axes: Any, view: View) -> bool:
    from matplotlib.patches import Patch

    found = [series.seconds_by_segment(row) for row in view.rows]
    longest = max((sum(each.values()) for each in found), default=0.0)
    for place, seconds in enumerate(found):
        left = 0.0
        for name, (color, hatch) in SEGMENTS.items():
            width = seconds.get(name, 0.0)
            if width:
                axes.barh(place + 0.65, width, 0.42, left=left, facecolor=color, hatch=hatch, **_EDGE)
            left += width
        if seconds:
            axes.text(left + 0.01 * longest, place + 0.65, f"{number(left)} s", va="center", fontsize=7.5)
    axes.set_xlim(0, 1.18 * longest or 1.0)
    axes.set_xlabel("wall seconds, per run")
    patches = [Patch(facecolor=color, hatch=hatch, label=name, **_EDGE) for name, (color, hatch) in SEGMENTS.items()]
    axes.legend(
        handles=patches,
        ncols=len(patches),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        fontsize=7.5,
        handlelength=1.2,
        columnspacing=0.9,
        handletextpad=0.4,
    )
    return _lanes(axes, view, drawn=longest > 0)


def _lanes(axes: Any, view: View, *, drawn: bool) -> bool:
    """One lane per row, the first on top, with its name above what is drawn in it."""
    for place, label in enumerate(view.labels):
        axes.text(0.0, place + 0.08, elided(label, LABEL), transform=axes.get_yaxis_transform(), va="top", fontsize=8)
    axes.set_ylim(len(view.rows), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return drawn


def _rows(view: View) -> Iterator[tuple[Row, Style]]:
    return zip(view.rows, view.styles, strict=True)


_SEEDS = "Line: mean over training seeds; band: lowest to highest seed. A thin line that ends in × is a run that did."

FIGURES: dict[str, tuple[Panel, ...]] = {
    "curves": (
        Panel("Learning, by iterations", _SEEDS, partial(_learning, "iteration", "meta-iterations")),
        Panel("Learning, by device time", _SEEDS, partial(_learning, "device_seconds", "device seconds")),
        Panel("Learning, by wall time", _SEEDS, partial(_learning, "wall_seconds", "wall seconds")),
    ),
    "pareto": (
        Panel(
            "Score against cost",
            "Gray line: the Pareto front, which no other row beats in both. A hollow marker was measured on another "
            "machine or with other software, and counts for no front. Bars: 95 % interval.",
            _pareto,
        ),
    ),
    "steps": (
        Panel(
            "After each adaptation step",
            "The trained network on the test episodes, in the first mode. Band: lowest to highest seed.",
            _steps,
        ),
    ),
    "distribution": (
        Panel(
            "Episode by episode",
            "Share of the test episodes with each score. Filled, upwards: trained; "
            "outlined, downwards: the untrained network given the same adaptation. Tick: mean.",
            _distribution,
            True,
        ),
    ),
    "seeds": (
        Panel(
            "Training seeds",
            "A marker per seed with its 95 % interval over episodes; thick bar: their mean.",
            _seeds,
            True,
        ),
    ),
    "time": (
        Panel(
            "Where the time goes",
            "Mean wall seconds per run. Evaluation and checkpoints are no part of training.",
            _time,
            True,
        ),
    ),
}
"""By the name that ``mamlbench report --figure`` takes."""
