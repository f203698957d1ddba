"""The scores that every statistic across cells is computed from: each method on each cell, none missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mamlbench.errors import ConfigError, summarize_names
from mamlbench.record import RunRecord
from mamlbench.report.across.benchmark_cells import BenchmarkCell, CellScores, MethodKey, cells_of
from mamlbench.report.statistics.mean_ranks import ranks_of
from mamlbench.report.table.groups import group_records
from mamlbench.report.table.seen_test_data import NAMED, ORDER
from mamlbench.student_t import Array

MIN_METHODS, MIN_CELLS = 2, 2


@dataclass(frozen=True, eq=False)  # equal if it is the same object, so that results computed from it can be kept
class AcrossScores:
    """The scores of each of K methods on each of M cells."""

    methods: list[MethodKey]
    cells: list[BenchmarkCell]
    scores: list[Array]
    """Of each method, ``[R, M]`` with R runs (training seeds), in the metrics' own units. R may differ by method."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and what limits the comparison."""
    rope: float | None = None
    """Differences up to this size are no practical ones, in the metric's own unit; None: the default of the metric."""

    @property
    def directed(self) -> list[Array]:
        """The scores, negated on cells where lower is better."""
        signs = np.array([1.0 if cell.higher_is_better else -1.0 for cell in self.cells])
        return [scores * signs for scores in self.scores]

    @property
    def means(self) -> Array:
        """The mean over runs of each method on each cell ``[M, K]``, negated where lower is better."""
        return np.stack([scores.mean(0) for scores in self.directed], axis=-1)

    @property
    def mean_ranks(self) -> Array:
        """The mean over cells of each method's rank ``[K]``; 1 is the best."""
        mean: Array = ranks_of(self.means).mean(0)
        return mean

    @property
    def datasets(self) -> list[str]:
        """The different data sets among the cells."""
        return list(dict.fromkeys(cell.conditions.dataset for cell in self.cells))

    @cached_property
    def on_one_scale(self) -> AcrossScores:
        """The cells of the most common metric: scores of different metrics cannot be averaged."""
        scale, _ = Counter(cell.scale for cell in self.cells).most_common(1)[0]
        positions = [index for index, cell in enumerate(self.cells) if cell.scale == scale]
        cells = [self.cells[index] for index in positions]
        return replace(self, cells=cells, scores=[scores[:, positions] for scores in self.scores])

    def sorted_by(self, key: Sequence[float]) -> AcrossScores:
        """Return the same methods in ascending order of ``key``; ties by name."""
        order = sorted(range(len(self.methods)), key=lambda index: (key[index], str(self.methods[index])))
        return replace(
            self, methods=[self.methods[index] for index in order], scores=[self.scores[index] for index in order]
        )


def collect_scores(
    records: Iterable[RunRecord],
    metric: str | None = None,
    modes: Sequence[str] = (),
    rope: float | None = None,
) -> AcrossScores:
    """Collect the scores of all methods on all cells, and leave out methods and cells until none is missing.

    The methods are in order of their mean ranks, the best first.

    Args:
        records: finished or not.
        metric: the metric of every cell that reports it; None: the first of each.
        modes: each one makes a cell of its own; none: the first mode of each table, which selects checkpoints.
        rope: differences up to this size are no practical ones, in the metric's own unit.

    Raises ConfigError, with what is there, if fewer than two methods and two cells remain.
    """
    all_cells = cells_of(group_records(records, metric), modes)
    cells = [scores for scores in all_cells if scores.by_method]
    methods = list(dict.fromkeys(method for scores in cells for method in scores.by_method))
    kept_methods, kept_cells, left_out = _complete(methods, cells)
    if len(kept_methods) < MIN_METHODS or len(kept_cells) < MIN_CELLS:
        raise ConfigError(_too_few(methods, cells, modes))
    problems = [problem for scores in all_cells for problem in scores.problems]
    notes = [*problems, *(note for scores in kept_cells for note in scores.notes)]
    notes += _note_on_test_data(kept_methods, kept_cells)
    arrays = []
    for method in kept_methods:
        array, note = _score_matrix(method, kept_cells)
        arrays.append(array)
        notes += note
    scores = AcrossScores(kept_methods, [scores.cell for scores in kept_cells], arrays, [*left_out, *notes], rope)
    return scores.sorted_by(scores.mean_ranks.tolist())


def _complete(
    methods: Sequence[MethodKey], cells: Sequence[CellScores]
) -> tuple[list[MethodKey], list[CellScores], list[str]]:
    """Leave out the method or the cell of which the largest share is missing, again and again, until none is missing.

    Of a method and a cell that lack the same share, the cell is left out. Also returns a sentence for each.
    """
    kept_methods, kept_cells, left_out = list(methods), list(cells), []
    while kept_methods and kept_cells:
        lacking = [[m for m in kept_methods if m not in cell.by_method] for cell in kept_cells]
        without = [[cell for cell in kept_cells if m not in cell.by_method] for m in kept_methods]
        worst_cell = max(range(len(kept_cells)), key=lambda index: len(lacking[index]))
        worst_method = max(range(len(kept_methods)), key=lambda index: len(without[index]))
        if not lacking[worst_cell]:
            break
        cell_share = len(lacking[worst_cell]) / len(kept_methods)
        method_share = len(without[worst_method]) / len(kept_cells)
        if cell_share >= method_share:
            names = ", ".join(map(str, lacking[worst_cell]))
            left_out.append(f"Left out: {kept_cells.pop(worst_cell).cell.title}, which has no finished run of {names}.")
        else:
            titles = "; ".join(scores.cell.title for scores in without[worst_method])
            left_out.append(f"Left out: {kept_methods.pop(worst_method)}, which has no finished run on {titles}.")
    return kept_methods, kept_cells, left_out


def _note_on_test_data(methods: Sequence[MethodKey], cells: Sequence[CellScores]) -> list[str]:
    """Say which networks were trained on test classes or images, and of which it is unknown."""
    places: dict[str, list[str]] = {}
    for scores in cells:
        for method in methods:
            if method in scores.test_data:
                places.setdefault(scores.test_data[method], []).append(f"{method} on {scores.cell.title}")
    if not places:
        return []
    if len(places) == 1:
        return [f"Test data, in training: {next(iter(places))}, for every score."]
    parts = (f"{answer} ({summarize_names(places[answer], NAMED)})" for answer in ORDER if answer in places)
    return [f"Test data, in training: {'; '.join(parts)}."]


def _score_matrix(method: MethodKey, cells: Sequence[CellScores]) -> tuple[Array, list[str]]:
    """Return a method's scores ``[R, M]``: of as many seeds as every cell has, the first ones."""
    by_cell = [list(scores.by_method[method].values()) for scores in cells]
    runs = min(map(len, by_cell))
    more = [scores.cell.title for scores, values in zip(cells, by_cell, strict=True) if len(values) > runs]
    note = (
        f"{method}: the first {runs} seed{'s' if runs != 1 else ''} of each cell count, because not every cell has "
        f"more ({'; '.join(more)} {'has' if len(more) == 1 else 'have'})."
    )
    return np.array([values[:runs] for values in by_cell]).T, [note] if more else []


def _too_few(methods: Sequence[MethodKey], cells: Sequence[CellScores], modes: Sequence[str]) -> str:
    if not cells:
        in_modes = f" in the mode {' or '.join(modes)}" if modes else ""
        return f"None of these records has a test score{in_modes}, so nothing can be compared across data sets."
    listed = "; ".join(
        f"{scores.cell.title}: {summarize_names(map(str, scores.by_method), NAMED)}" for scores in cells[:12]
    )
    more = f"; and {len(cells) - 12} more" if len(cells) > 12 else ""
    return (
        f"A comparison across data sets takes {MIN_METHODS} or more methods that all have a finished run on "
        f"{MIN_CELLS} or more cells (data set, ways, shots, mode). Here {len(methods)} method"
        f"{'s' if len(methods) != 1 else ''} and {len(cells)} cell{'s' if len(cells) != 1 else ''} have runs: "
        f"{listed}{more}. Methods that differ in options or preset are different ones. "
        "Run those that are missing, or name the folders and records to compare: mamlbench report --across FOLDER."
    )
