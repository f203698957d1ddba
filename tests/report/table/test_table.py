"""Tables: which records share one, its rows and cells, and the notes below it."""

import math

import numpy as np
import pytest
from scipy import stats

from mamlbench.errors import ConfigError
from mamlbench.record import Skipped
from mamlbench.report import build_tables
from mamlbench.report.statistics.estimates import interval_over_seeds


def texts(table, name):
    index = [column.name for column in table.columns].index(name)
    return [row.cells[index].text for row in table.rows]


def test_rows_are_algorithms_best_first(make_record):
    (table,) = build_tables([make_record("reptile", score=0.77), make_record("maml", score=0.93)])
    assert [row.algorithm for row in table.rows] == ["maml", "reptile"]
    assert texts(table, "transductive") == ["93.0 ± 1.0", "77.0 ± 1.0"]
    assert texts(table, "gain") == ["+36.0 ± 2.0", "+20.0 ± 2.0"]
    assert texts(table, "milliseconds") == ["250", "250"] and texts(table, "memory") == ["512", "512"]
    assert table.title == "omniglot, 5-way 1-shot: accuracy, % (1 query per class, 600 test episodes)"
    notes = " ".join([*table.explanations, *table.notes])
    assert "over test episodes" in notes and "Test CPU, 2 threads, torch 2.14.1" in notes and "'quick'" in notes


def test_a_lower_error_is_better_and_not_in_percent(make_record):
    runs = [make_record(name, score=score, regression=True) for name, score in (("a", 2.4), ("b", 0.67))]
    (table,) = build_tables(runs)
    assert [row.algorithm for row in table.rows] == ["b", "a"]
    assert texts(table, "transductive") == ["0.670 ± 0.010", "2.400 ± 0.010"]
    assert any("Lower is better" in note for note in table.explanations)


def test_seeds_are_one_row_with_an_interval_over_seeds(make_record):
    means = (0.92, 0.93, 0.95)
    (table,) = build_tables([make_record(score=mean, seed=seed) for seed, mean in enumerate(means)])
    half = stats.t.ppf(0.975, 2) * stats.sem(means)
    assert texts(table, "transductive") == [f"{100 * sum(means) / 3:.1f} ± {100 * half:.1f}"]
    assert texts(table, "seeds") == ["3"]
    assert any("over training seeds" in note for note in table.explanations)


def test_times_of_several_pieces_are_marked(make_record):
    runs = [make_record(seed=seed) for seed in range(3)]
    assert not any("pieces" in note for note in build_tables(runs)[0].notes)
    for seed, pieces in ((0, 4), (2, 2)):
        measured = runs[seed].measurement.model_copy(update={"pieces": pieces})
        runs[seed] = runs[seed].model_copy(update={"measurement": measured})
    note = "2 of 3 runs continued after an interrupt: times are the sum of up to 4 pieces."
    assert note in build_tables(runs)[0].notes


@pytest.mark.parametrize("means", [(0.7, 0.7), (0.6, 0.8), (0.7, 0.7, 0.7)])
def test_two_seeds_or_equal_means_have_an_interval_over_episodes(make_record, means):
    """Equal means leave no spread between seeds, and an interval over two seeds is too wide to be useful."""
    generator = np.random.default_rng(0)
    base = generator.permutation(np.repeat([0.4, 0.5, 0.6], 20))
    episodes = [mean - 0.5 + generator.permutation(base) for mean in means]
    (table,) = build_tables([make_record(episodes=scores, seed=seed) for seed, scores in enumerate(episodes)])
    half = stats.t.ppf(0.975, 59) * stats.sem(np.mean(episodes, 0))
    assert half > 0 and texts(table, "transductive") == [f"70.0 ± {100 * half:.1f}"]
    assert table.rows[0].cells[1].data["interval_over"] == "episodes"
    assert any("over test episodes, for these checkpoints." in note for note in table.explanations)


def test_a_gain_over_two_seeds_has_an_interval_over_the_paired_episodes(make_run):
    (table,) = build_tables([make_run(seed=seed) for seed in range(2)])  # both gain 0.73, 0.6 and 0.0
    half = 100 * stats.t.ppf(0.975, 2) * stats.sem([0.73, 0.6, 0.0])
    assert texts(table, "gain") == [f"+36.0 ± {half:.1f}"]


def test_both_intervals_are_explained_if_rows_have_few_and_many_seeds(make_record):
    many = [make_record("maml", score=mean, seed=seed) for seed, mean in enumerate((0.92, 0.93, 0.95))]
    (table,) = build_tables([*many, make_record("reptile")])
    assert any("three or more" in note and "otherwise over test episodes" in note for note in table.explanations)
    (table,) = build_tables(many, ["seeds"])
    assert not any("±" in note for note in table.explanations), "there is no interval to explain"


@pytest.mark.parametrize(
    ("device", "clocks", "counted"),
    [
        ("cpu", ["cpu", None], "CPU seconds"),
        ("cpu", [None], "CPU seconds"),
        ("cuda", ["cuda-events", None], "GPU seconds"),
        ("cuda", [None], "GPU seconds"),
        ("cpu", ["cpu", "cuda-events"], "CPU seconds of the process, or GPU seconds"),
    ],
)
def test_device_time_has_one_name_and_says_what_it_counts(make_record, device, clocks, counted):
    """Also if a run was interrupted before it measured anything."""
    runs = []
    for index, clock in enumerate(clocks):
        run = make_record(f"a{index}", status="interrupted" if clock is None else "finished")
        measured = run.measurement.model_copy(update={"device_clock": clock}) if clock else None
        spec = run.spec.model_copy(update={"device": device})
        runs.append(run.model_copy(update={"measurement": measured, "spec": spec}))
    (table,) = build_tables(runs)
    (column,) = (column for column in table.columns if column.name == "device_seconds")
    assert column.title == "device s" and column.about == f"device time: {counted}"


def test_a_repeat_does_not_count_as_another_seed(make_record):
    (table,) = build_tables([make_record(score=0.90), make_record(score=0.92)])
    assert texts(table, "seeds") == ["1"] and texts(table, "transductive") == ["92.0 ± 1.0"]


@pytest.mark.parametrize(
    "other",
    [
        {"queries": 15},
        {"shots": 5},
        {"ways": 20},
        {"test_episodes": 1000},
        {"episode_seed": 1},
        {"split_hash": "another"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_records_that_are_not_comparable_are_in_separate_tables(make_record, other):
    first, second = build_tables([make_record("maml"), make_record("reptile", seed=1, **other)])
    assert len(first.rows) == len(second.rows) == 1
    same_task = "ways" not in other and "shots" not in other
    assert any("Not comparable with the table" in note for note in second.notes) == same_task


def test_method_settings_may_differ_and_are_shown(make_record):
    runs = [make_record(options={"inner_lr": rate}) for rate in (0.4, 0.1)]
    (table,) = build_tables(runs)
    assert sorted(row.settings for row in table.rows) == ["inner_lr=0.1", "inner_lr=0.4"]


def test_times_of_another_machine_are_marked(make_record):
    runs = [make_record("maml"), make_record("fomaml"), make_record("reptile", environment={"threads": 8})]
    (table,) = build_tables(runs)
    marked = {row.algorithm for row in table.rows for cell in row.cells if cell.mark}
    assert marked == {"reptile"}
    assert any(note.startswith("†") and "threads" in note for note in table.notes)


def test_another_precision_is_named_and_its_times_are_marked(make_record):
    runs = [make_record("maml"), make_record("reptile"), make_record("maml", precision="bf16", score=0.9)]
    (table,) = build_tables(runs)
    assert [(row.algorithm, row.settings) for row in table.rows if row.settings] == [
        ("maml", "precision=float32"),
        ("maml", "precision=bf16"),
    ]
    marked = {row.settings for row in table.rows for cell in row.cells if cell.mark == "†"}
    assert marked == {"precision=bf16"}
    assert any(note.startswith("†") and "precision" in note for note in table.notes)


def test_a_precision_that_all_rows_share_is_named_unless_it_is_float32(make_record):
    (table,) = build_tables([make_record("maml", precision="float64"), make_record("reptile", precision="float64")])
    assert {row.settings for row in table.rows} == {"precision=float64"}
    assert any("in float64" in note for note in table.explanations if note.startswith("Measured on"))
    (table,) = build_tables([make_record("maml"), make_record("reptile")], columns=("precision",))
    assert {(row.settings, row.cells[0].text) for row in table.rows} == {("", "float32")}


def test_a_failed_run_is_a_row_with_its_reason(make_record):
    runs = [make_record("maml"), make_record("reptile", status="diverged", reason="The loss is nan.")]
    (table,) = build_tables(runs)
    failed = table.rows[-1]
    assert failed.algorithm == "reptile" and failed.failed and failed.cells[1].text == "diverged"
    assert "reptile, seed 0: diverged: The loss is nan." in table.notes


def test_skipped_updates_are_counted_below_the_table(make_record):
    run = make_record("maml", seed=3).model_copy(update={"skipped": Skipped(updates=[2, 7], validations=[])})
    (table,) = build_tables([run, make_record("reptile")])
    skipped = "maml, seed 3: 2 of 500 updates and 0 validations were not finite and were skipped."
    assert [note for note in table.notes if "skipped" in note] == [skipped]


def test_a_group_without_tested_runs_has_a_table(make_record):
    (table,) = build_tables([make_record(status="interrupted", reason="at iteration 3")])
    assert texts(table, "score") == ["interrupted"]
    (table,) = build_tables([make_record(status="interrupted")], ["inductive", "gain", "seeds"], sort="inductive")
    assert [column.name for column in table.columns] == ["seeds"]


def test_a_seed_that_failed_is_counted(make_record):
    runs = [make_record(seed=0), make_record(seed=1, status="failed", reason="x"), make_record(seed=2)]
    (table,) = build_tables(runs)
    assert texts(table, "seeds") == ["2 of 3"]


def test_a_subset_is_marked_and_explained(make_record):
    (table,) = build_tables([make_record(subset="964 of 1,623 characters")])
    assert texts(table, "preset") == ["quick, subset"]
    assert "The data set was incomplete: 964 of 1,623 characters." in table.notes


def test_columns_and_sorting_can_be_chosen(make_record):
    runs = [make_record("maml", score=0.93), make_record("anil", score=0.9)]
    (table,) = build_tables(runs, ["score", "before", "parameters"], sort="parameters")
    assert [column.name for column in table.columns] == ["transductive", "inductive", "before", "parameters"]
    assert [row.algorithm for row in table.rows] == ["anil", "maml"]
    assert texts(table, "before") == ["20.0", "20.0"] and texts(table, "parameters") == ["111,749", "111,749"]
    with pytest.raises(ConfigError, match=r"no column 'parmeters'\. Did you mean 'parameters'"):
        build_tables(runs, ["parmeters"])


def test_no_records_give_no_table():
    assert build_tables([]) == []


def test_the_interval_over_seeds_is_students():
    interval = interval_over_seeds([0.9, 0.92, 0.97])
    half = stats.t.ppf(0.975, 2) * stats.sem([0.9, 0.92, 0.97])
    assert (interval.high - interval.mean, interval.mean - interval.low) == (pytest.approx(half), pytest.approx(half))
    third = 0.1 + 0.2
    assert interval_over_seeds([third, 0.3, 0.3]).low == pytest.approx(0.3), "rounding errors are not a spread"
    assert interval_over_seeds([0.9, 0.9]).low == 0.9 and math.isnan(interval_over_seeds([math.nan, 0.5]).mean)
