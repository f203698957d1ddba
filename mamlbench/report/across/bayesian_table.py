"""The Bayesian signed-rank comparison of each pair of methods, with a region of practical equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.rank_comparison import dependent_cells
from mamlbench.report.across.table_parts import (
    across_table,
    column,
    method_row,
    named_metric,
    not_on_the_scale,
    shown_in,
    unit_of,
)
from mamlbench.report.statistics.bayesian_signed_rank import SAMPLES, Posterior, signed_rank_posterior
from mamlbench.report.table.columns import TableCell
from mamlbench.report.table.table import Table, TableRow

MIN_CELLS_FOR_POSTERIOR = 5
"""With three cells of one sign the posterior would call a method better with certainty."""
ROPE_OF_SHARES = 0.01
"""Accuracies that differ by less than a percentage point are practically equal (Benavoli et al. 2017)."""
DECIDED = 0.95
"""A probability from which on a pair is called better, worse or equivalent."""


@dataclass(frozen=True)
class PairPosterior:
    """One pair of methods, with how probably the first is worse, equivalent or better."""

    first: int
    second: int
    """Positions of the methods."""
    difference: float
    """Mean difference over cells, positive if the first is better."""
    posterior: Posterior

    @property
    def verdict(self) -> str:
        """What has a probability of 95 % or more; 'undecided' if nothing has."""
        return next((name for name, value in self.posterior._asdict().items() if value >= DECIDED), "undecided")


def rope_of(scores: AcrossScores) -> float | None:
    """Return the region of practical equivalence: one percentage point for shares; None if none is named for others."""
    return scores.rope if scores.rope is not None else ROPE_OF_SHARES if unit_of(scores) == "%" else None


def no_posterior(scores: AcrossScores) -> str:
    """Say why there is no posterior; empty if there is one."""
    if len(scores.cells) < MIN_CELLS_FOR_POSTERIOR:
        return (
            f"No posterior: that takes {MIN_CELLS_FOR_POSTERIOR} or more cells of one metric, and "
            f"{scores.cells[0].metric} has {len(scores.cells)}. Add data sets or protocols."
        )
    if rope_of(scores) is None:
        metric = scores.cells[0].metric
        return f"No posterior: name a difference of {metric} that is no practical one with --rope, as --rope 0.1."
    return ""


def posteriors(scores: AcrossScores, rope: float) -> list[PairPosterior]:
    """Compute the posterior of each pair of methods, from scores on one scale."""
    means = scores.means
    return [
        PairPosterior(
            first,
            second,
            float((means[:, first] - means[:, second]).mean()),
            signed_rank_posterior(means[:, first] - means[:, second], rope),
        )
        for first, second in combinations(range(len(scores.methods)), 2)
    ]


def bayesian_table(scores: AcrossScores) -> Table:
    """Build the table of posteriors; without rows, and with the reason, if there are none."""
    on_scale = scores.on_one_scale
    reason, rope = no_posterior(on_scale), rope_of(on_scale)
    rows: list[TableRow] = []
    notes = [reason]
    if rope is not None and not reason:
        rows = [_row(on_scale, pair) for pair in posteriors(on_scale, rope)]
        notes = _notes(on_scale, rope)
    columns = [
        column("over", "over", numeric=False),
        column("mean_difference", "mean difference"),
        *(column(f"p_{name}", f"P({name})") for name in Posterior._fields[::-1]),
        column("verdict", f"at {100 * DECIDED:.0f} %", numeric=False),
    ]
    title = f"Bayesian signed-rank comparison: {named_metric(on_scale)}"
    notes.insert(0, not_on_the_scale(scores, on_scale))
    return across_table("Bayesian signed-rank", title, on_scale, columns=columns, rows=rows, notes=notes)


def _row(scores: AcrossScores, pair: PairPosterior) -> TableRow:
    other, show = str(scores.methods[pair.second]), shown_in(unit_of(scores))
    sign = "+" if pair.difference > 0 else ""
    cells = [TableCell(other, {"": other}), TableCell(sign + show(pair.difference), {"": pair.difference})]
    cells += [TableCell(f"{value:.3f}", {"": value}) for value in pair.posterior[::-1]]
    return method_row(scores.methods[pair.first], [*cells, TableCell(pair.verdict, {"": pair.verdict})])


def _notes(scores: AcrossScores, rope: float) -> list[str]:
    region = f"{100 * rope:g} percentage point{'s' if rope != ROPE_OF_SHARES else ''}"
    return [
        f"Equivalent: within {region if unit_of(scores) == '%' else f'{rope:g}'} of each other (--rope). P: the "
        "probability that differences on a cell are most often of this kind.",
        f"Signed-rank test with a Dirichlet-process prior of half a cell without a difference; {SAMPLES:,} draws.",
        *dependent_cells(scores),
    ]
