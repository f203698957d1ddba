"""The columns of scores: for every metric and mode the score, the untrained network, the gain and the best row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from mamlbench.report.formatting import percent_or_number, with_half_width
from mamlbench.report.statistics.episode_scores import shared_scores
from mamlbench.report.statistics.estimates import Estimate, estimate, mean_if_any
from mamlbench.report.statistics.multiple_comparisons import BestComparison, compare_with_best
from mamlbench.report.table import row_settings
from mamlbench.report.table.columns import Column, TableCell, number_column
from mamlbench.report.table.doubts import SIGN, row_doubts
from mamlbench.report.table.groups import Group, RowRuns
from mamlbench.run_spec.metric_names import column_name


def score_columns(group: Group) -> list[Column]:
    """Return the columns of every metric and mode, those of the shown metric first."""
    if not group.modes:  # nothing was tested: one column that says why
        return [Column("score", "score", "after adaptation", _failure_cell)]
    columns = []
    for metric in group.metrics:
        of_metric = [_Series(group, metric, mode) for mode in group.modes]
        columns += [scores.score() for scores in of_metric]
        columns += [column for scores in of_metric for column in scores.details()]
    return columns


@dataclass(frozen=True)
class _Series:
    """The scores of all rows in one metric and mode.

    A score is called by its metric, with the mode if it is not the first: ``macro_f1``, ``macro_f1_inductive``. What
    else there is has a word before that: ``gain_macro_f1``. Columns of the shown metric are called without it:
    ``transductive``, ``gain``, ``gain_inductive``.
    """

    group: Group
    metric: str
    mode: str

    @property
    def is_shown(self) -> bool:
        return self.metric == self.group.metric

    @property
    def is_first_mode(self) -> bool:
        return self.mode == self.group.modes[0]

    @property
    def percent(self) -> bool:
        return self.group.metrics[self.metric].unit == "%"

    def score(self) -> Column:
        """Return the column of the scores themselves."""
        unit, mode = self.group.metrics[self.metric].unit, "" if self.is_first_mode else self.mode
        full_name = "_".join(filter(None, (column_name(self.metric), mode)))
        column = Column(
            full_name,
            ", ".join(filter(None, (self.metric, unit, mode))),
            f"{self.metric} after adaptation, {self.mode}",
            self._score_cell,
            lower_is_better=not self.group.metrics[self.metric].higher_is_better,
            metric=self.metric,
            mode=self.mode,
            percent=self.percent,
        )
        return replace(column, name=self.mode, title=self.mode, alias=full_name) if self.is_shown else column

    def details(self) -> Iterator[Column]:
        """Yield the columns of the untrained network, of the gain, and of the comparison with the best row."""
        columns = [self._estimates("untrained", "untrained network"), self._estimates("gain", "gain of training")]
        columns += self._comparisons()
        if self.is_first_mode:
            columns.append(number_column("before", "before", "before adaptation", self._before, percent=self.percent))
        yield from map(self._named, columns)

    def _named(self, column: Column) -> Column:
        """Return a column of details with the metric and the mode in its names and its description."""
        mode = "" if self.is_first_mode else self.mode
        metric = "" if self.is_shown else self.metric
        full_name = "_".join(filter(None, (column.name, column_name(self.metric), mode)))
        return replace(
            column,
            name="_".join(filter(None, (column.name, mode))) if self.is_shown else full_name,
            alias=full_name if self.is_shown else "",
            title=", ".join(filter(None, (column.title, metric, mode))),
            about=f"{column.about} ({self.metric}, {self.mode})",
        )

    def _score_cell(self, row: RowRuns) -> TableCell:
        if not row.seed_runs:
            return _failure_cell(row) if self.is_shown else TableCell()
        cell = self._interval_cell(estimate(row, self.metric, self.mode, "score"))
        doubts = row_doubts(row, self.metric, self.mode) if self.is_shown else []
        if not doubts:
            return cell
        return replace(cell, mark=SIGN, data={**cell.data, "doubt": "; ".join(doubts)})

    def _estimates(self, quantity: str, about: str) -> Column:
        def cell(row: RowRuns) -> TableCell:
            value = estimate(row, self.metric, self.mode, quantity)
            interval = self._interval_cell(value, signed=quantity == "gain")
            if quantity == "untrained" and value is not None:  # a baseline: the table shows no interval for it
                return TableCell(percent_or_number(value.interval.mean, self.percent), interval.data)
            return interval

        return Column(quantity, quantity, about, cell)

    def _comparisons(self) -> list[Column]:
        """Return the columns of effect size and minimum detectable effect. They are computed on first use."""

        @cache
        def comparisons() -> dict[int, BestComparison]:
            rows, higher = self.group.rows, self.group.metrics[self.metric].higher_is_better
            scores = {id(rows[index]): values for index, values in shared_scores(rows, self.metric, self.mode).items()}
            compared = compare_with_best(list(scores.values()), higher_is_better=higher)
            return dict(zip(scores, compared, strict=True))

        def field_of(name: str) -> Callable[[RowRuns], float | None]:
            return lambda row: getattr(comparisons().get(id(row)), name, None)

        effect = (
            "score minus the best row's, in standard deviations: of their paired differences between episodes (fewer "
            "than three seeds), or of the seeds' means"
        )
        about = "minimum detectable difference from the best row: power 80 %, before correction"
        smallest = field_of("minimum_detectable_effect")
        return [
            number_column("effect", "effect size", effect, field_of("effect_size")),
            number_column("detectable", "detectable", about, smallest, percent=self.percent),
        ]

    def _before(self, row: RowRuns) -> float | None:
        after_steps = [result.score_after_step for result in row.metric_results(self.metric)]
        return mean_if_any([scores[0] for scores in after_steps if scores])

    def _interval_cell(self, value: Estimate | None, *, signed: bool = False) -> TableCell:
        if value is None:
            return TableCell()
        mean, low, high = value.interval.mean, value.interval.low, value.interval.high
        text = with_half_width(
            mean, value.half_width, self.percent, signed=signed, new_classes=value.half_width_new_classes
        )
        data = {"": mean, "low": low, "high": high, "interval_over": value.over}
        if value.new_classes is not None:
            data |= {"new_classes_low": value.new_classes.low, "new_classes_high": value.new_classes.high}
        return TableCell(text, data)


def _failure_cell(row: RowRuns) -> TableCell:
    """Show the status in place of the score of a row in which nothing finished."""
    status = row_settings.status(row)
    return TableCell(status, {"status": status}, bad=True)
