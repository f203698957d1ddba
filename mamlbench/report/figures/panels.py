"""The figures: one function per panel, which draws into axes and returns whether there was anything to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from mamlbench.record import Interval, RunRecord
from mamlbench.report.figures import series
from mamlbench.report.figures.hover_points import Fact, note_artists, note_point, noted_rows
from mamlbench.report.figures.style import SEGMENTS, Style
from mamlbench.report.figures.view import View, device_seconds, elide, is_drawable, on_other_machine, score_of
from mamlbench.report.formatting import number
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.table.groups import RowRuns

_EDGE: dict[str, Any] = {"edgecolor": "white", "linewidth": 0}

MAX_LABEL_LENGTH = 48
"""Characters of a row's name above its lane."""
MAX_LINEAR_STEPS = 12
"""With more adaptation steps, their axis is logarithmic from 2 on."""


@dataclass(frozen=True)
class Panel:
    """One plot of a figure."""

    title: str
    about: str
    draw: Callable[[Any, View], bool]
    lanes: bool = False
    """Whether each row has its own lane, so that the height depends on the number of rows."""
    x_axis: str = ""
    """What the x axis shows, if panels of a figure differ in it."""

    def height(self, view: View) -> float:
        """Return the height in inches, for a width of 4.2."""
        return 0.75 + 0.62 * max(len(view.rows), 1) if self.lanes else 2.7


def _learning(clock: str, name: str, axes: Any, view: View) -> bool:
    for index, (row, style) in _rows(axes, view):
        curve = series.learning_curve(row, view.group.metric, clock, view.scale, series.points_per_curve(view.rows))
        if not curve.x:
            continue
        _note_curve(axes, index, curve, name, f"validation {view.metric}")
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


def _note_curve(axes: Any, index: int, curve: series.Curve, x_name: str, y_name: str) -> None:
    for x, mean, low, high in zip(curve.x, curve.mean, curve.low, curve.high, strict=True):
        facts: dict[str, Fact] = {x_name: x, y_name: mean}
        if low != high:
            facts |= {"lowest seed": low, "highest seed": high}
        note_point(axes, index, x, mean, facts)


def _steps(axes: Any, view: View) -> bool:
    from matplotlib.ticker import MaxNLocator

    for index, (row, style) in _rows(axes, view):
        curve = series.step_curve(row, view.group.metric, view.scale)
        if curve.x:
            _draw_curve(axes, curve, style)
            _note_curve(axes, index, curve, "adaptation steps", f"test {view.metric}")
    max_steps = max((max(line.get_xdata(), default=0) for line in axes.lines), default=0)
    if max_steps > MAX_LINEAR_STEPS:  # a linear axis would squeeze methods with few steps into the left edge
        axes.set_xscale("symlog", linthresh=2)
        axes.set_xticks([step for step in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if step <= max_steps])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("adaptation steps")
    axes.set_ylabel(f"test {view.metric}")
    return bool(axes.lines)


def _pareto(axes: Any, view: View) -> bool:
    comparable: list[tuple[float, float]] = []  # (device seconds, score)
    max_seconds = 0.0
    for (index, (row, style)), other_machine in zip(_rows(axes, view), on_other_machine(view.rows), strict=True):
        value = estimate(row, view.group.metric, view.mode, "score")
        seconds, score = device_seconds(row), score_of(row, view.group.metric, view.mode)
        if seconds is None or score is None or value is None:
            continue
        max_seconds = max(max_seconds, seconds)
        half = view.scale * value.half_width if is_drawable(value.half_width) else 0.0
        looks = {"color": style.color, "marker": style.marker, "fillstyle": "none" if other_machine else "full"}
        bars = {"yerr": [half], "capsize": 2.5, "elinewidth": 1}
        axes.errorbar([seconds], [view.scale * score], markersize=7, linestyle="none", **bars, **looks)
        facts = {"device seconds": seconds, **_score_facts(view, value.interval)}
        about: dict[str, Fact] = {"interval over": value.over, "seeds": len(row.seed_runs)}
        note_point(axes, index, seconds, view.scale * score, {**facts, **about})
        if not other_machine:
            comparable.append((seconds, view.scale * score))
    front = [comparable[index] for index in series.pareto_front(comparable, higher_is_better=view.higher_is_better)]
    if len(comparable) > 1:
        axes.plot(*zip(*front, strict=True), drawstyle="steps-post", color="#888888", linewidth=1, zorder=1)
    axes.set_xlabel("device s, per run")
    axes.set_ylabel(f"test {view.metric}")
    axes.margins(0.12)
    axes.set_xlim(0, 1.08 * max_seconds or 1.0)
    return bool(axes.lines)


def _distribution(axes: Any, view: View) -> bool:
    centers, width, distributions = series.distributions(view.rows, view.group.metric, view.mode, view.scale)
    drawn = [distribution for distribution in distributions if distribution is not None]
    highest = max((max(*distribution.trained, *distribution.untrained) for distribution in drawn), default=0.0)
    for (lane, (_, style)), distribution in zip(_rows(axes, view), distributions, strict=True):
        if distribution is None:
            continue
        _note_distribution(axes, lane, centers, distribution, view)
        base = lane + 0.62
        for sign, fractions in ((-1, distribution.trained), (1, distribution.untrained)):
            heights = [sign * 0.36 * fraction / highest for fraction in fractions]
            looks = {"color": style.color} if sign < 0 else {"facecolor": "none", "edgecolor": style.color}
            axes.bar(centers, heights, 0.86 * width, bottom=base, linewidth=0.8, **looks)
        axes.plot([distribution.mean, distribution.mean], [base - 0.4, base], color=style.color, linewidth=1)
    axes.set_xlabel(f"{view.metric}, of one episode")
    return _lanes(axes, view, drawn=bool(drawn))


def _note_distribution(
    axes: Any, lane: int, centers: list[float], distribution: series.Distribution, view: View
) -> None:
    for center, trained, untrained in zip(centers, distribution.trained, distribution.untrained, strict=True):
        shares = {"trained, % of episodes": 100 * trained, "untrained, % of episodes": 100 * untrained}
        facts = {f"{view.metric}, of one episode": center, **shares, "mean": distribution.mean}
        note_point(axes, lane, center, lane + 0.62, facts)


def _score_facts(view: View, interval: Interval) -> dict[str, Fact]:
    ends = {"95 % interval, low": interval.low, "95 % interval, high": interval.high}
    facts = {f"test {view.metric}": interval.mean} | {name: end for name, end in ends.items() if is_drawable(end)}
    return {name: view.scale * value for name, value in facts.items()}


def _scores_of_seeds(row: RowRuns, view: View) -> list[tuple[RunRecord, Interval]]:
    """Return the runs of a row whose score can be drawn, with it."""
    metrics = [(run, run.test.metrics.get(view.group.metric)) for run in row.seed_runs if run.test is not None]
    results = [(run, metric.modes.get(view.mode)) for run, metric in metrics if metric is not None]
    return [(run, result.score) for run, result in results if result is not None and is_drawable(result.score.mean)]


def _seeds(axes: Any, view: View) -> bool:
    drawn = False
    for lane, (row, style) in _rows(axes, view):
        runs = _scores_of_seeds(row, view)
        scores = [score for _, score in runs]
        if not scores:
            continue
        drawn, base = True, lane + 0.62
        for index, (run, score) in enumerate(runs):
            y = base + 0.3 * ((index + 0.5) / len(scores) - 0.5)
            facts = {**_score_facts(view, score), "seed": run.spec.seed, "run": run.name}
            note_point(axes, lane, view.scale * score.mean, y, facts)
            ends = [view.scale * value for value in (score.low, score.high) if is_drawable(value)]
            axes.plot(ends, [y] * len(ends), color=style.color, linewidth=0.7)
            axes.plot([view.scale * score.mean], [y], style.marker, color=style.color)
        if len(scores) > 1:
            mean = view.scale * sum(score.mean for score in scores) / len(scores)
            axes.plot([mean, mean], [base - 0.27, base + 0.27], color=style.color, linewidth=2)
    axes.set_xlabel(f"test {view.metric}")
    return _lanes(axes, view, drawn=drawn)


def _time(axes: Any, view: View) -> bool:
    seconds_by_row = [series.seconds_by_segment(row) for row in view.rows]
    longest = max((sum(segments.values()) for segments in seconds_by_row), default=0.0)
    for lane, segments in noted_rows(axes, seconds_by_row):
        left = 0.0
        for name, (color, hatch) in SEGMENTS.items():
            width = segments.get(name, 0.0)
            if width:
                axes.barh(lane + 0.65, width, 0.42, left=left, facecolor=color, hatch=hatch, **_EDGE)
                facts: dict[str, Fact] = {"part": name, "wall seconds": width, "of": sum(segments.values())}
                note_point(axes, lane, left + width / 2, lane + 0.65, facts)
            left += width
        if segments:
            axes.text(left + 0.01 * longest, lane + 0.65, f"{number(left)} s", va="center", fontsize=7.5)
    axes.set_xlim(0, 1.18 * longest or 1.0)
    axes.set_xlabel("wall s, per run")
    _segment_legend(axes)
    return _lanes(axes, view, drawn=longest > 0)


def _segment_legend(axes: Any) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=color, hatch=hatch, label=name, **_EDGE) for name, (color, hatch) in SEGMENTS.items()]
    position = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": len(patches)}
    spacing = {"handlelength": 1.2, "columnspacing": 0.9, "handletextpad": 0.4}
    axes.legend(handles=patches, fontsize=7.5, **position, **spacing)


def _lanes(axes: Any, view: View, *, drawn: bool) -> bool:
    """Set up one lane per row, the first on top, with its name above the data."""
    for lane, label in enumerate(view.labels):
        looks = {"transform": axes.get_yaxis_transform(), "va": "top", "fontsize": 8}
        note_artists(axes, lane, [axes.text(0.0, lane + 0.08, elide(label, MAX_LABEL_LENGTH), **looks)])
    axes.set_ylim(len(view.rows), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return drawn


def _rows(axes: Any, view: View) -> Iterator[tuple[int, tuple[RowRuns, Style]]]:
    return noted_rows(axes, zip(view.rows, view.styles, strict=True))


_SEEDS = (
    "Line: mean over training seeds. Band: lowest to highest seed. A thin line that ends in × is a run that did not "
    "finish."
)


def _learning_panel(x_axis: str, clock: str, name: str) -> Panel:
    return Panel(f"Learning, by {x_axis}", _SEEDS, partial(_learning, clock, name), x_axis=x_axis)


FIGURES: dict[str, tuple[Panel, ...]] = {
    "curves": (
        Panel(
            "Learning, by iterations", _SEEDS, partial(_learning, "iteration", "meta-iterations"), x_axis="iterations"
        ),
        Panel(
            "Learning, by device time",
            _SEEDS,
            partial(_learning, "device_seconds", "device s"),
            x_axis="device time",
        ),
        _learning_panel("wall time", "wall_seconds", "wall s"),
    ),
    "pareto": (
        Panel(
            "Score against cost",
            "Gray line: Pareto front. Hollow marker: measured on a different machine or with different software, and "
            "not part of the front. Bars: 95 % confidence interval.",
            _pareto,
        ),
    ),
    "steps": (
        Panel(
            "After each adaptation step",
            "Score of the trained network on the test episodes, in the first mode. Band: lowest to highest seed.",
            _steps,
        ),
    ),
    "distribution": (
        Panel(
            "Episode by episode",
            "Fraction of the test episodes with each score. Filled, upward: trained network. Outlined, downward: "
            "untrained network with the same adaptation. Tick: mean.",
            _distribution,
            True,
        ),
    ),
    "seeds": (
        Panel(
            "Training seeds",
            "Marker: one seed, with its 95 % confidence interval over episodes. Thick bar: mean over seeds.",
            _seeds,
            True,
        ),
    ),
    "time": (
        Panel(
            "Where the time goes",
            "Mean wall seconds per run. Evaluation and checkpoints are not part of training.",
            _time,
            True,
        ),
    ),
}
"""The panels of each figure, by the name that ``mamlbench report --figure`` takes."""
