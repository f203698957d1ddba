"""The figures of a comparison across cells: one function per panel, which draws into axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mamlbench.report.across import aggregates
from mamlbench.report.across.bayesian_table import no_posterior, posteriors, rope_of
from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.rank_diagram import critical_difference_diagram, diagram_lanes
from mamlbench.report.across.table_parts import named_metric, unit_of
from mamlbench.report.figures.hover_points import Fact, note_point, noted_rows
from mamlbench.report.figures.style import STYLES, Style
from mamlbench.report.figures.view import elide
from mamlbench.report.formatting import printable
from mamlbench.student_t import Array

MAX_LABEL_LENGTH = 64
"""Characters of a name above its lane."""
MAX_PROFILE_STEPS = 500
"""Most thresholds of a profile's curve."""

POSTERIOR_STYLES = {"better": ("#0072B2", ""), "equivalent": ("#B0B0B0", "////"), "worse": ("#D55E00", "xxxx")}
"""Color and hatch of each part of a posterior."""


@dataclass(frozen=True)
class AcrossPanel:
    """One plot of a comparison across cells."""

    title: str
    about: str
    draw: Callable[[Any, AcrossScores], bool]
    lanes: Callable[[AcrossScores], int] | None = None
    """Number of lanes, each with a name above it; None for a plot of curves, which has a legend."""

    def height(self, scores: AcrossScores) -> float:
        """Return the height in inches, for a width of 4.2."""
        return 2.7 if self.lanes is None else 0.75 + 0.34 * max(self.lanes(scores), 1)


def labels_and_styles(scores: AcrossScores) -> list[tuple[str, Style]]:
    """Return label and style of each method that figures of curves show: as many as there are styles."""
    return [(printable(str(method)), style) for method, style in zip(scores.methods, STYLES, strict=False)]


def _interquartile_means(axes: Any, scores: AcrossScores) -> bool:
    on_scale = scores.on_one_scale
    scale = _scale(on_scale)
    for lane, result in noted_rows(axes, aggregates.aggregates(on_scale)):
        note_point(axes, lane, scale * result.interquartile_mean, lane + 0.82, _mean_facts(result, scale))
        style = STYLES[lane % len(STYLES)]
        looks = {"color": style.color, "marker": "|", "markeredgewidth": 2.5, "solid_capstyle": "butt"}
        if result.new_cells is not None:
            axes.plot(scale * result.new_cells, [lane + 0.82] * 2, color=style.color, linewidth=1)
        if result.interval is not None:  # its ends are higher than the marker, which may be wider than it
            axes.plot(scale * result.interval, [lane + 0.82] * 2, linewidth=4, markersize=13, **looks)
        x = [scale * result.interquartile_mean]
        axes.plot(x, [lane + 0.82], style.marker, color=style.color, markeredgecolor="white", markersize=7)
    axes.set_xlabel(f"interquartile mean: {named_metric(on_scale)}")
    _lanes(axes, [str(method) for method in on_scale.methods])
    return True


def _mean_facts(result: aggregates.Aggregate, scale: float) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"interquartile mean": scale * result.interquartile_mean}
    for name, interval in (("95 % interval", result.interval), ("for new cells", result.new_cells)):
        if interval is not None:
            facts |= {
                f"{name}, {end}": float(scale * value) for end, value in zip(("low", "high"), interval, strict=True)
            }
    return facts


def _profiles(axes: Any, scores: AcrossScores) -> bool:
    on_scale = scores.on_one_scale
    scale = _scale(on_scale)
    thresholds, higher = _thresholds(on_scale), on_scale.cells[0].higher_is_better
    step = "post" if higher else "pre"  # a score is neither above nor below itself
    profiles = zip(aggregates.profiles(on_scale, thresholds), STYLES, strict=False)
    for index, (profile, style) in noted_rows(axes, profiles):
        for x, y in zip(scale * thresholds, 100 * profile.shares, strict=True):
            note_point(axes, index, x, y, {"threshold": float(x), "runs beyond it, %": float(y)})
        looks = {"color": style.color, "linestyle": style.line, "drawstyle": f"steps-{step}"}
        axes.plot(scale * thresholds, 100 * profile.shares, **looks)
        if profile.band is not None:
            low, high = 100 * profile.band
            axes.fill_between(scale * thresholds, low, high, color=style.color, alpha=0.15, linewidth=0, step=step)
    better = "above" if higher else "below"
    axes.set_xlabel(f"threshold: {named_metric(on_scale)}")
    axes.set_ylabel(f"runs {better} the threshold, %")
    axes.set_ylim(-3, 103)
    return True


def _thresholds(scores: AcrossScores) -> Array:
    """Return every score, where profiles have their steps, with a margin; evenly spaced ones instead of very many."""
    every = np.unique(np.concatenate([runs.ravel() for runs in scores.scores]))
    margin = 0.03 * float(np.ptp(every)) or 0.01
    low, high = every[0] - margin, every[-1] + margin
    if len(every) > MAX_PROFILE_STEPS:
        return np.linspace(low, high, MAX_PROFILE_STEPS)
    return np.concatenate([[low], every, [high]])


def _improvements(axes: Any, scores: AcrossScores) -> bool:
    results = aggregates.improvements(scores)
    axes.axvline(0.5, color="#888888", linewidth=1)
    for lane, result in enumerate(results):
        facts: dict[str, Fact] = {"over": str(scores.methods[result.second]), "probability": result.probability}
        if result.interval is not None:
            facts |= {"95 % interval, low": float(result.interval[0]), "95 % interval, high": float(result.interval[1])}
        note_point(axes, result.first, result.probability, lane + 0.82, facts)
        if result.interval is not None:
            axes.plot(result.interval, [lane + 0.82] * 2, color=STYLES[0].color, linewidth=3)
        axes.plot(
            [result.probability], [lane + 0.82], "o", color=STYLES[0].color, markeredgecolor="white", markersize=7
        )
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("probability that a run of the first is better")
    _lanes(axes, [pair_label(scores, result.first, result.second) for result in results])
    return True


def _posteriors(axes: Any, scores: AcrossScores) -> bool:
    on_scale = scores.on_one_scale
    rope = rope_of(on_scale)
    if rope is None or no_posterior(on_scale):
        return False
    pairs = posteriors(on_scale, rope)
    for lane, pair in enumerate(pairs):
        left = 0.0
        for value, (name, (color, hatch)) in zip(pair.posterior[::-1], POSTERIOR_STYLES.items(), strict=True):
            second = str(on_scale.methods[pair.second])
            facts: dict[str, Fact] = {"compared with": second, "verdict": name, "probability": float(value)}
            note_point(axes, pair.first, left + value / 2, lane + 0.82, facts)
            axes.barh(lane + 0.82, value, 0.3, left=left, facecolor=color, hatch=hatch, edgecolor="white", linewidth=0)
            left += value
    axes.set_xlim(0, 1)
    axes.set_xlabel("posterior probability")
    axes.grid(visible=False)
    _lanes(axes, [pair_label(on_scale, pair.first, pair.second) for pair in pairs])
    _posterior_legend(axes)
    return True


def _posterior_legend(axes: Any) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=color, hatch=hatch, edgecolor="white", linewidth=0, label=name)
        for name, (color, hatch) in POSTERIOR_STYLES.items()
    ]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=7.5)


def pair_label(scores: AcrossScores, first: int, second: int) -> str:
    """Return the names of two methods, of which the first may be better."""
    return f"{elide(str(scores.methods[first]), 28)} over {elide(str(scores.methods[second]), 28)}"


def number_of_pairs(scores: AcrossScores) -> int:
    """Return how many pairs the methods make."""
    return len(scores.methods) * (len(scores.methods) - 1) // 2


def _scale(scores: AcrossScores) -> float:
    """Return the factor from scores to displayed values."""
    return 100.0 if unit_of(scores) == "%" else 1.0


def _lanes(axes: Any, labels: Sequence[str]) -> None:
    """Set up one lane per label, the first on top, with the label above the data."""
    looks = {"transform": axes.get_yaxis_transform(), "va": "top", "fontsize": 7.5}
    for lane, label in enumerate(labels):
        axes.text(0.0, lane + 0.2, elide(printable(label), MAX_LABEL_LENGTH), **looks)
    axes.set_ylim(len(labels) + 0.2, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


PANELS: dict[str, AcrossPanel] = {
    "iqm": AcrossPanel(
        "Interquartile mean",
        "Mean of the middle half of all scores. Thick line with ends: 95 % interval for new runs on these cells. Thin "
        "line: for new cells as well.",
        _interquartile_means,
        lanes=lambda scores: len(scores.methods),
    ),
    "profiles": AcrossPanel(
        "Performance profile",
        "Share of all runs, on all cells, that are better than a threshold. A curve above another is better. Band: "
        "middle 95 % of bootstrap samples of these runs.",
        _profiles,
    ),
    "improvement": AcrossPanel(
        "Probability of improvement",
        "How probably a run of the first method is better than one of the second, on a random cell. Line: 95 % "
        "interval for new runs on these cells.",
        _improvements,
        lanes=number_of_pairs,
    ),
    "ranks": AcrossPanel(
        "Mean ranks",
        "Mean rank over cells, the best on the left. A bar joins methods that do not differ significantly (Wilcoxon's "
        "signed-rank test, Holm's correction); dots mark its members.",
        critical_difference_diagram,
        lanes=diagram_lanes,
    ),
    "bayes": AcrossPanel(
        "Bayesian signed-rank comparison",
        "How probably the first method of a pair is better than the second, practically equivalent, or worse.",
        _posteriors,
        lanes=number_of_pairs,
    ),
}
"""Each figure by the name that ``--figure`` takes."""
