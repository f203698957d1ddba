"""Marks of the best cells: which cells, by which test, and how each format shows them."""

import csv
import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from mamlbench.report import build_tables
from mamlbench.report.render import RENDERERS
from mamlbench.report.render.terminal import print_tables

EPISODES = 100


@pytest.fixture
def runs(make_record):
    """Make records of algorithms by their skill on shared episodes: ``runs({"a": 0.9, "b": 0.6}, seeds=3)``."""

    def make(skills, seeds=1, spread=0.0, **settings):
        generator = np.random.default_rng(0)
        difficulty = generator.normal(0, 0.1, EPISODES)
        return [
            make_record(
                name,
                seed=seed,
                episodes=generator.binomial(5, np.clip(skill + difficulty + generator.normal(0, spread), 0, 1)) / 5,
                **settings,
            )
            for name, skill in skills.items()
            for seed in range(seeds)
        ]

    return make


def marked(table, column):
    index = [shown.name for shown in table.columns].index(column)
    return {row.algorithm: row.cells[index].best for row in table.rows}


def test_the_best_and_those_not_significantly_worse_are_marked(runs):
    (table,) = build_tables(runs({"a": 0.8, "b": 0.79, "c": 0.5}))
    assert marked(table, "transductive") == {"a": True, "b": True, "c": False}
    assert marked(table, "gain") == {"a": None, "b": None, "c": None}
    assert "claim about these checkpoints only; paired t-test" in table.marked and "Holm" in table.marked


def test_the_lowest_error_is_best(runs):
    (table,) = build_tables(runs({"a": 0.8, "b": 0.3}, regression=True))
    assert marked(table, "transductive") == {"b": True, "a": False}


def test_three_seeds_make_a_claim_about_algorithms(runs):
    (table,) = build_tables(runs({"a": 0.8, "b": 0.5}, seeds=3))
    assert "claim about the algorithms" in table.marked and "checkpoints" not in table.marked
    assert marked(table, "transductive") == {"a": True, "b": False}


def test_a_significant_difference_of_checkpoints_may_not_be_one_of_algorithms(runs):
    (few,) = build_tables(runs({"a": 0.8, "b": 0.6}, seeds=2, spread=0.15))
    (three,) = build_tables(runs({"a": 0.8, "b": 0.6}, seeds=3, spread=0.15))
    assert set(marked(few, "transductive").values()) == {True, False}
    assert set(marked(three, "transductive").values()) == {True}


def test_the_note_names_both_claims_if_rows_have_few_and_many_seeds(runs):
    (table,) = build_tables([*runs({"a": 0.8, "b": 0.7}, seeds=3), *runs({"c": 0.5})])
    assert "rows with fewer than 3 seeds: claim about these checkpoints" in table.marked


def test_a_single_row_is_not_marked(runs):
    (table,) = build_tables(runs({"a": 0.8}))
    assert marked(table, "transductive") == {"a": None} and table.marked == ""


@pytest.mark.parametrize("harm", [[], [0.5], [float("nan")] * EPISODES])
def test_a_row_with_missing_or_nan_episode_scores_is_not_compared(runs, with_modes, harm):
    records = runs({"a": 0.8, "b": 0.79, "c": 0.5})
    mode = records[0].test.modes["transductive"].model_copy(update={"episode_scores": harm})
    (table,) = build_tables([with_modes(records[0], {"transductive": mode}), *records[1:]])
    assert marked(table, "transductive") == {"a": None, "b": True, "c": False}


def test_times_are_ranked_if_every_row_was_measured_three_times(make_record):
    def measured(name, seconds):
        return [make_record(name, seconds=value, seed=seed) for seed, value in enumerate(seconds)]

    slow, fast, as_fast = measured("a", [300, 310, 305]), measured("b", [100, 102, 99]), measured("c", [101, 98, 104])
    (table,) = build_tables([*slow, *fast, *as_fast])
    assert marked(table, "device_seconds") == {"a": False, "b": True, "c": True}
    assert "run by run" in table.marked
    (table,) = build_tables([*slow, *fast, *as_fast[:2]])
    assert set(marked(table, "device_seconds").values()) == {None}
    assert "needs 3 runs of every row" in table.marked


def test_a_time_from_another_machine_is_not_ranked(make_record):
    def measured(name, seconds, **settings):
        return [make_record(name, seconds=value, seed=seed, **settings) for seed, value in enumerate(seconds)]

    (table,) = build_tables(
        [
            *measured("a", [300, 310, 305]),
            *measured("b", [200, 201, 202]),
            *measured("c", [1, 1.1, 1], environment={"threads": 8}),
        ]
    )
    assert marked(table, "device_seconds") == {"a": False, "b": True, "c": None}


@pytest.mark.parametrize("regression", [False, True])
def test_effect_size_and_detectable_difference_are_columns(runs, regression):
    records = runs({"a": 0.8, "b": 0.5}, regression=regression)
    (table,) = build_tables(records, ["transductive", "effect", "detectable", "effect_inductive"])
    best, other = table.rows
    assert best.algorithm == ("b" if regression else "a")
    assert [cell.text for cell in best.cells[1:]] == ["", "", ""], "the best is not compared with itself"
    scores = {run.spec.algorithm.name: np.array(run.test.modes["transductive"].episode_scores) for run in records}
    difference = scores[other.algorithm] - scores[best.algorithm]
    size = difference.mean() / difference.std(ddof=1)
    error, df = stats.sem(difference), len(difference) - 1
    effect, detectable = other.cells[1].data[""], other.cells[2].data[""]
    assert effect == pytest.approx(size) == other.cells[3].data[""]
    assert detectable == pytest.approx(error * (stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)))
    unit = "" if regression else " points"
    shown = other.cells[2].text
    (note,) = [note for note in table.explanations if note.startswith("Minimum detectable difference")]
    assert note.endswith(f"(power 80 %): {shown}{unit} transductive.")


def test_the_note_gives_the_range_over_rows_for_each_mode(runs):
    (table,) = build_tables(runs({"a": 0.8, "b": 0.7, "c": 0.3}))
    (note,) = [note for note in table.explanations if note.startswith("Minimum detectable difference")]
    assert " to " in note and "points transductive, " in note and note.endswith("points inductive.")
    (table,) = build_tables(runs({"a": 0.8}), ["all"])
    assert not any(note.startswith("Minimum detectable difference") for note in table.explanations), (
        "nothing is compared"
    )


def test_every_format_shows_the_mark(runs):
    tables = build_tables(runs({"a": 0.8, "b": 0.65}), ["transductive"])
    best, worse = (row.cells[0].text for row in tables[0].rows)
    out = io.StringIO()
    print_tables(tables, Console(file=out, width=100))
    assert f"{best}*" in out.getvalue() and f"{worse}*" not in out.getvalue() and "*: the best" in out.getvalue()
    markdown = RENDERERS["md"](tables)
    assert f"| **{best}** |" in markdown and f"| {worse} |" in markdown and "- Bold: the best" in markdown
    latex = RENDERERS["latex"](tables)
    assert r"\textbf{" + best.replace("±", r"$\pm$") + "}" in latex and "Bold: the best" in latex
    assert "*: the best" in RENDERERS["svg"](tables).replace("&#160;", " ")
    assert [row["transductive_best"] for row in csv.DictReader(io.StringIO(RENDERERS["csv"](tables)))] == [
        "True",
        "False",
    ]
    assert [row["transductive_best"] for row in json.loads(RENDERERS["json"](tables))[0]["rows"]] == [True, False]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ((500, 63), (80, 10), False),  # eight validations each
        ((500, 50), (80, 10), True),
        ((500, 63), (500, 100), True),
        ((0, 1), (500, 63), False),  # nothing was trained: any number of validations may have been meant
    ],
)
def test_validate_every_is_in_a_label_only_if_the_iterations_do_not_explain_it(make_record, first, second, shown):
    records = [make_record(iterations=i, validate_every=v) for i, v in (first, second)]
    (table,) = build_tables(records)
    assert all(("validate_every" in row.settings) == shown for row in table.rows)
