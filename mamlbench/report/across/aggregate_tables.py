"""The tables of interquartile means, performance profiles and probabilities of improvement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mamlbench.report.across import aggregates
from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.table_parts import (
    about_brackets,
    across_table,
    column,
    interval_cell,
    method_row,
    named_metric,
    not_on_the_scale,
    plural,
    shown_in,
    too_few_runs,
    unit_of,
    with_interval,
)
from mamlbench.report.formatting import number
from mamlbench.report.table.columns import TableCell
from mamlbench.report.table.table import Table


def interquartile_mean_table(scores: AcrossScores) -> Table:
    """Build the table of interquartile means, which also says what cells there are and what was left out."""
    on_scale = scores.on_one_scale
    show, results = shown_in(unit_of(on_scale)), aggregates.aggregates(on_scale)
    rows = [
        method_row(
            method,
            [
                _with_percentiles(result, show),
                interval_cell(result.new_cells, show),
                TableCell(show(result.mean), {"": result.mean}),
                TableCell(str(result.runs), {"": result.runs}),
            ],
        )
        for method, result in zip(on_scale.methods, results, strict=True)
    ]
    columns = [
        column("interquartile_mean", "interquartile mean"),
        column("new_cells", "new cells"),
        column("mean", "mean"),
        column("runs", "runs per cell"),
    ]
    notes = [
        f"Cells: {'; '.join(cell.title for cell in scores.cells)}.",
        not_on_the_scale(scores, on_scale),
        *scores.notes,
        "Interquartile mean: the mean of the middle half of all scores, runs and cells together.",
        _about_intervals(results),
        too_few_runs(on_scale),
        _lower_is_better(on_scale),
    ]
    return across_table(
        "interquartile mean",
        f"Interquartile mean of {named_metric(on_scale)}",
        on_scale,
        columns=columns,
        rows=rows,
        notes=notes,
    )


def _with_percentiles(result: aggregates.Aggregate, show: Callable[[float], str]) -> TableCell:
    """Return the cell with its interval; CSV and JSON hold rliable's percentiles as well."""
    cell = with_interval(result.interquartile_mean, result.interval, show)
    if result.percentiles is None:
        return cell
    low, high = (float(end) for end in result.percentiles)
    return replace(cell, data={**cell.data, "percentile_low": low, "percentile_high": high})


def _about_intervals(results: list[aggregates.Aggregate]) -> str:
    kinds = []
    if any(result.interval is not None for result in results):
        kinds.append("for new runs on these cells")
    if any(result.new_cells is not None for result in results):
        kinds.append("new cells: for new runs on new cells, if these are a random sample of them")
    method = "stratified bootstrap, expanded for few runs and cells"
    return f"Brackets: 95 % interval, {'; '.join(kinds)} ({method})." if kinds else ""


def _lower_is_better(scores: AcrossScores) -> str:
    return "" if scores.cells[0].higher_is_better else "Lower is better."


def profile_table(scores: AcrossScores) -> Table:
    """Build the table of performance profiles, at round thresholds."""
    on_scale = scores.on_one_scale
    percent, thresholds = unit_of(on_scale) == "%", aggregates.round_thresholds(on_scale)
    sign = ">" if on_scale.cells[0].higher_is_better else "<"
    columns = [
        column(f"share_{sign}_{number(threshold)}", f"{sign} {_threshold(threshold, percent)}")
        for threshold in thresholds.tolist()
    ]
    rows = [
        method_row(
            method,
            [
                with_interval(share, None if profile.band is None else profile.band[:, index], shown_in("%"))
                for index, share in enumerate(profile.shares.tolist())
            ],
        )
        for method, profile in zip(on_scale.methods, aggregates.profiles(on_scale, thresholds), strict=True)
    ]
    notes = [
        not_on_the_scale(scores, on_scale),
        f"Percentage of runs with a score {'above' if sign == '>' else 'below'} each threshold.",
        about_brackets(
            on_scale, "middle 95 % of bootstrap samples of these runs; of few runs the truth is often outside"
        ),
        too_few_runs(on_scale),
    ]
    return across_table(
        "performance profile",
        f"Performance profile: {named_metric(on_scale)}",
        on_scale,
        columns=columns,
        rows=rows,
        notes=notes,
    )


def _threshold(value: float, percent: bool) -> str:
    return number(round(100 * value, 6)) if percent else number(value)


def improvement_table(scores: AcrossScores) -> Table:
    """Build the table of probabilities of improvement, one row per pair of methods."""
    results = aggregates.improvements(scores)
    rows = [
        method_row(
            scores.methods[result.first],
            [
                TableCell(str(scores.methods[result.second]), {"": str(scores.methods[result.second])}),
                with_interval(result.probability, result.interval, "{:.2f}".format),
            ],
        )
        for result in results
    ]
    columns = [column("over", "over", numeric=False), column("probability_of_improvement", "P(better)")]
    notes = [
        "P(better): how probably a run of the first method has a better score than one of the second, on a random "
        "cell (Mann and Whitney's U of each cell); 0.5 if they are equal.",
        about_brackets(scores, "95 % interval for new runs on these cells (stratified bootstrap)"),
        too_few_runs(scores),
    ]
    title = f"Probability of improvement: {plural(len(results), 'pair')}"
    return across_table("probability of improvement", title, scores, columns=columns, rows=rows, notes=notes)
