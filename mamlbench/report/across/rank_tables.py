"""The tables of mean ranks and of pairs of methods."""

from __future__ import annotations

from itertools import combinations

from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.rank_comparison import RankTests, rank_remarks, rank_tests, wins
from mamlbench.report.across.table_parts import across_table, column, method_row, plural
from mamlbench.report.statistics.mean_ranks import ranks_of
from mamlbench.report.table.columns import TableCell
from mamlbench.report.table.table import Table, TableRow


def rank_tables(scores: AcrossScores) -> list[Table]:
    """Build the table of mean ranks with groups, and that of pairs."""
    tests = rank_tests(scores)
    return [_mean_ranks(scores, tests), _pairs(scores, tests)]


def _mean_ranks(scores: AcrossScores, tests: RankTests | None) -> Table:
    columns = [column("mean_rank", "mean rank"), column("best_on", "best on")]
    best_on = (ranks_of(scores.means) == 1).sum(0).tolist()
    mean_ranks = scores.mean_ranks.tolist()
    cells = [
        [TableCell(f"{rank:.2f}", {"": rank}), TableCell(plural(best, "cell"), {"": best})]
        for rank, best in zip(mean_ranks, best_on, strict=True)
    ]
    notes = ["Mean rank over cells; 1 is the best, equal scores share a rank.", *rank_remarks(scores, tests)]
    if tests is not None:
        columns.append(column("groups", "groups", numeric=False))
        cells = [[*row, TableCell(letters, {"": letters})] for row, letters in zip(cells, tests.letters, strict=True)]
        notes.insert(
            1,
            "Methods that share a letter do not differ significantly (Wilcoxon's signed-rank test of each pair, Holm's "
            f"correction, 5 %). Nemenyi's critical difference of mean ranks is {tests.critical_difference:.2f}.",
        )
    rows = [method_row(method, row) for method, row in zip(scores.methods, cells, strict=True)]
    return across_table("mean ranks", "Mean ranks", scores, columns=columns, rows=rows, notes=notes)


def _pairs(scores: AcrossScores, tests: RankTests | None) -> Table:
    pairs = list(combinations(range(len(scores.methods)), 2))
    columns = [column("over", "over", numeric=False), column("wins", "wins"), column("losses", "losses")]
    notes = ["Wins and losses: cells on which the first method has the better, or the worse, mean over its runs."]
    if tests is not None:
        columns += [column("wilcoxon_holm", "Wilcoxon-Holm p"), column("nemenyi", "Nemenyi p")]
        notes.append(
            "p: how probable so large a difference is if the two do not differ, corrected for "
            f"{plural(len(pairs), 'pair')}. Wilcoxon's test compares the two methods alone; Nemenyi's depends on the "
            "other methods as well."
        )
    rows = [_pair_row(scores, tests, first, second) for first, second in pairs]
    return across_table("pairs of methods", "Pairs of methods", scores, columns=columns, rows=rows, notes=notes)


def _pair_row(scores: AcrossScores, tests: RankTests | None, first: int, second: int) -> TableRow:
    better, other = wins(scores), str(scores.methods[second])
    cells = [TableCell(other, {"": other})]
    cells += [_count(int(better[first, second])), _count(int(better[second, first]))]
    if tests is not None:
        cells += [_p_value(float(p_values[first, second])) for p_values in (tests.wilcoxon, tests.nemenyi)]
    return method_row(scores.methods[first], cells)


def _count(value: int) -> TableCell:
    return TableCell(str(value), {"": value})


def _p_value(value: float) -> TableCell:
    return TableCell(f"{value:.3f}" if value >= 0.001 else "< 0.001", {"": value})
