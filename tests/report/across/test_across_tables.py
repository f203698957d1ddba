"""The tables of a comparison across cells, and what they say about their limits."""

import csv
import io
import json

import numpy as np
import pytest

from mamlbench.report.across import collect_scores
from mamlbench.report.across.across_export import save_across_figure
from mamlbench.report.across.across_panels import PANELS
from mamlbench.report.across.aggregates import round_thresholds
from mamlbench.report.across.all_tables import across_tables
from mamlbench.report.render import RENDERERS


@pytest.fixture
def tables(study):
    return {table.conditions.statistic: table for table in across_tables(collect_scores(study()))}


def cell(table, row, column):
    index = [column.name for column in table.columns].index(column)
    return table.rows[row].cells[index]


def test_the_interquartile_mean_has_intervals_for_new_runs_and_new_cells(tables):
    table = tables["interquartile mean"]
    assert table.title == "Interquartile mean of accuracy, % (8 cells of 4 data sets)"
    assert [row.algorithm for row in table.rows] == ["protonet", "maml", "fomaml", "reptile"]
    data, wider = (cell(table, 0, name).data for name in ("interquartile_mean", "new_cells"))
    assert wider["low"] < data["low"] < data["percentile_low"] < data[""]
    assert data[""] < data["percentile_high"] < data["high"] < wider["high"]
    assert any(note.startswith("Cells: omniglot 5-way 1-shot; ") for note in table.notes)


def test_few_runs_or_cells_have_no_interval(study, across_cells):
    table, profile, improvement = across_tables(collect_scores(study(seeds=2, cells=across_cells[:4])))[:3]
    assert cell(table, 0, "interquartile_mean").data.keys() == {""} and cell(table, 0, "new_cells").text == ""
    assert "No interval over runs with fewer than 3 training seeds on each cell: protonet, " in " ".join(table.notes)
    for shown in (table, profile, improvement):
        assert "[" not in "".join(cell.text for row in shown.rows for cell in row.cells)
        assert not any(note.startswith("Brackets") for note in shown.notes)


def test_a_profile_falls_from_left_to_right(tables):
    for row in tables["performance profile"].rows:
        shares = [cell.data[""] for cell in row.cells]
        assert shares == sorted(shares, reverse=True)
    assert [column.title for column in tables["performance profile"].columns] == ["> 50", "> 60", "> 70", "> 80"]


def test_improvements_are_of_each_pair(tables):
    table = tables["probability of improvement"]
    pairs = [(row.algorithm, row.cells[0].text) for row in table.rows]
    assert pairs[:3] == [("protonet", "maml"), ("protonet", "fomaml"), ("protonet", "reptile")] and len(pairs) == 6
    assert all(row.cells[1].data[""] > 0.5 for row in table.rows)


def test_scores_of_another_metric_are_not_averaged(study, across_cells):
    methods = {"maml": 0.1, "reptile": 0.0}
    errors = study(methods=methods, cells=[("sinusoid", 1, 5)], regression=True)
    table, _, improvement = across_tables(collect_scores([*errors, *study(methods=methods, cells=across_cells[:3])]))[
        :3
    ]
    assert table.conditions.cells == 3 and improvement.conditions.cells == 4
    assert any(note.endswith("Not part of it: sinusoid 5-shot.") for note in table.notes)


def test_lower_is_better_turns_profiles_round(study):
    cells = [("sinusoid", 1, shots) for shots in (5, 10)]
    profile = across_tables(collect_scores(study(methods={"maml": 0.1, "fomaml": 0}, cells=cells, regression=True)))[1]
    assert profile.columns[0].title.startswith("< ")
    for row in profile.rows:
        shares = [cell.data[""] for cell in row.cells]
        assert shares == sorted(shares)


@pytest.mark.parametrize("format_", RENDERERS)
def test_every_format_has_every_statistic(study, format_):
    tables = across_tables(collect_scores(study()))
    text = RENDERERS[format_](tables)
    assert all(table.rows[0].algorithm in text for table in tables)
    if format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["statistic"] for row in rows} == {table.conditions.statistic for table in tables}
        assert float(rows[0]["interquartile_mean"]) == tables[0].rows[0].cells[0].data[""]
    if format_ == "json":
        assert [table["conditions"]["cells"] for table in json.loads(text)] == [8] * len(tables)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.41, 0.83, [0.5, 0.6, 0.7, 0.8]),
        (2.0, 2.0, [2.0]),
        (0.0, 7.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (-3, 90, [0, 20, 40, 60, 80]),
    ],
)
def test_thresholds_are_round_numbers(study, low, high, expected):
    scores = collect_scores(study(seeds=1))
    scores.scores[:] = [np.array([[low, high]])]
    assert round_thresholds(scores).tolist() == pytest.approx(expected)


def test_methods_of_one_group_share_a_letter(tables):
    table = tables["mean ranks"]
    letters = {row.algorithm: row.cells[2].text for row in table.rows}
    assert letters == {"protonet": "a", "maml": "b", "fomaml": "b", "reptile": "c"}
    assert [row.cells[0].data[""] for row in table.rows] == [1.0, 2.375, 2.625, 4.0]
    assert any("Nemenyi's critical difference of mean ranks is 1.66." in note for note in table.notes)
    assert any(
        note.startswith("The 8 cells are of 4 data sets. Tests take cells as independent") for note in table.notes
    )


def test_pairs_have_wins_and_p_values(tables):
    rows = {(row.algorithm, row.cells[0].text): row.cells[1:] for row in tables["pairs of methods"].rows}
    wins, losses, wilcoxon, nemenyi = (cell.data[""] for cell in rows["maml", "fomaml"])
    assert (wins, losses) == (5, 3) and 0.05 < wilcoxon < nemenyi
    assert rows["protonet", "reptile"][3].text == "< 0.001"


def test_the_posterior_of_each_pair_has_a_verdict(tables):
    table = tables["Bayesian signed-rank"]
    verdicts = {(row.algorithm, row.cells[0].text): row.cells[-1].text for row in table.rows}
    assert verdicts["protonet", "reptile"] == "better" and verdicts["maml", "fomaml"] == "undecided"
    for row in table.rows:
        assert sum(cell.data[""] for cell in row.cells[2:5]) == pytest.approx(1)


def test_without_a_difference_all_methods_are_one_group(study):
    tables = across_tables(collect_scores(study(methods=dict.fromkeys("abc", 0.0), seeds=1)))
    ranks = next(table for table in tables if table.conditions.statistic == "mean ranks")
    assert {row.cells[2].text for row in ranks.rows} == {"a"}
    assert any("It is not rejected, so no pair of methods is called different." in note for note in ranks.notes)


@pytest.mark.parametrize(
    ("methods", "cells", "sentences"),
    [
        (
            4,
            4,
            ["No test of ranks: that takes 5 or more cells, and these are 4.", "No posterior: that takes 5 or more"],
        ),
        (
            4,
            5,
            ["smallest p-value is 0.0625, after Holm's correction for 6 pairs 0.375. It takes 8 cells"],
        ),
        (2, 6, ["Friedman's test compares three or more methods; two are compared by Wilcoxon's"]),
    ],
)
def test_what_a_small_study_cannot_show_is_written(study, across_cells, methods, cells, sentences):
    chosen = {name: index / 10 for index, name in enumerate("abcd"[:methods])}
    tables = across_tables(collect_scores(study(methods=chosen, cells=across_cells[:cells], seeds=1)))
    notes = " ".join(note for table in tables for note in table.notes)
    assert all(sentence in notes for sentence in sentences)


def test_a_metric_without_a_percentage_needs_a_region_of_its_own(study):
    cells = [("sinusoid", 1, shots) for shots in (3, 5, 10, 15, 20)]
    records = study(methods={"maml": 0.1, "fomaml": 0}, cells=cells, regression=True)
    (reason,) = across_tables(collect_scores(records))[-1].notes
    assert "name a difference of mean squared error that is no practical one with --rope" in reason
    table = across_tables(collect_scores(records, rope=0.01))[-1]
    assert [(row.algorithm, row.cells[-1].text) for row in table.rows] == [("fomaml", "better")]
    assert table.rows[0].cells[1].data[""] > 0  # lower errors are better


def test_names_are_escaped_in_every_output(study, across_cells):
    name = "<script>alert(1)</script>|`x`\x1b[2J"
    records = study(methods={name: 0.1, "b": 0.0, "c": 0.05}, cells=[(f"{name}{index}", 5, 1) for index in range(5)])
    tables = across_tables(collect_scores(records))
    assert "<script" not in RENDERERS["md"](tables).replace(r"\<", "") and "<script" not in RENDERERS["svg"](tables)
    assert not [format_ for format_, render in RENDERERS.items() if "\x1b" in render(tables)]
    for figure in PANELS:
        svg = save_across_figure(figure, collect_scores(records), "svg")
        assert b"<script" not in svg and b"\x1b" not in svg


def test_cells_that_all_agree_have_no_infinite_number(study):
    tables = across_tables(collect_scores(study(noise=0.0)))
    assert "every cell ranks them in the same order." in " ".join(note for table in tables for note in table.notes)
    assert "inf" not in RENDERERS["csv"](tables)


def test_splits_that_share_something_are_marked(study):
    records = study()
    tested = records[0].test.model_copy(update={"leaks": ["train and test share 1 class (cat)"]})
    records[0] = records[0].model_copy(update={"test": tested})
    notes = across_tables(collect_scores(records))[0].notes
    name = records[0].spec.algorithm.name
    assert [note for note in notes if note.startswith(f"‡ {name} on ") and note.endswith("share 1 class (cat).")]
