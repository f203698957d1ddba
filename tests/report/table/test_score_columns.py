"""Columns, figures and data frames of runs that report several metrics."""

import numpy as np
import pytest

from mamlbench.errors import ConfigError
from mamlbench.record import Interval
from mamlbench.report import build_tables, load_records
from mamlbench.report.figures import series
from mamlbench.report.figures.view import view_of
from mamlbench.report.table.choose_columns import metric_columns
from mamlbench.report.table.groups import group_records
from mamlbench.shared_classes import interval_for_new_classes, shared_classes


@pytest.fixture
def runs(make_run, with_metric):
    """MAML is better by accuracy, Reptile by both other metrics."""

    def make(name, score, f1, likelihood):
        run = with_metric(make_run(name, score=score), "macro F1", f1)
        return with_metric(run, "negative log-likelihood", likelihood, unit="nats", higher_is_better=False)

    return [
        make("maml", 0.93, [0.7, 0.8, 0.75], [0.5, 0.6, 0.7]),
        make("reptile", 0.8, [0.8, 0.9, 0.85], [0.2, 0.3, 0.4]),
    ]


def column(table, name):
    (place,) = [place for place, column in enumerate(table.columns) if column.name == name]
    return table.columns[place], {row.algorithm: row.cells[place] for row in table.rows}


def test_the_default_table_shows_the_first_metric_only(runs, make_run):
    plain = build_tables([make_run("maml", score=0.93), make_run("reptile", score=0.8)])[0]
    (table,) = build_tables(runs)
    assert [column.name for column in table.columns] == [column.name for column in plain.columns]
    assert table.title == plain.title and table.notes == plain.notes


@pytest.mark.parametrize("name", ["macro_f1", "macro F1", "macro-f1"])
def test_another_metric_is_a_column_in_its_own_unit_and_direction(runs, name):
    (table,) = build_tables(runs, ["default", name, "negative_log_likelihood", "gain_macro_f1"])
    f1, cells = column(table, "macro_f1")
    assert f1.title == "macro F1, %" and f1.lower_is_better is False
    assert cells["maml"].text == "75.0 ± 1.0" and cells["reptile"].text == "85.0 ± 1.0"
    likelihood, cells = column(table, "negative_log_likelihood")
    assert likelihood.title == "negative log-likelihood, nats" and likelihood.lower_is_better is True
    assert cells["maml"].text == "0.600 ± 0.010"
    assert "Lower is better: negative log-likelihood." in table.notes
    _, gains = column(table, "gain_macro_f1")
    assert gains["reptile"].text == "+60.0 ± 2.0"


def test_rows_are_sorted_and_marked_by_any_metric(runs):
    (table,) = build_tables(runs, ["macro_f1", "negative_log_likelihood_inductive"], sort="negative_log_likelihood")
    assert [row.algorithm for row in table.rows] == ["reptile", "maml"]
    _, cells = column(table, "macro_f1")
    assert (cells["reptile"].best, cells["maml"].best) == (True, False)
    _, cells = column(table, "negative_log_likelihood_inductive")
    assert (cells["reptile"].best, cells["maml"].best) == (True, False)


def test_a_whole_table_can_be_of_another_metric(runs):
    (table,) = build_tables(runs, metric="negative log-likelihood")
    assert "negative log-likelihood, nats, selected by accuracy" in table.title and table.unit == "nats"
    assert [row.algorithm for row in table.rows] == ["reptile", "maml"]
    _, cells = column(table, "transductive")
    assert cells["reptile"].text == "0.300 ± 0.010"
    assert any(note.startswith("Lower is better. Untrained") for note in table.explanations)
    (table,) = build_tables(runs, ["accuracy", "transductive"], metric="macro_f1")
    assert [column.name for column in table.columns] == ["accuracy", "transductive"]


def test_a_metric_that_is_not_reported_is_refused(runs):
    with pytest.raises(ConfigError, match=r"None of these records reports the metric 'macro F2'.*'macro F1'"):
        build_tables(runs, metric="macro F2")
    with pytest.raises(ConfigError, match=r"no column 'macro_f2'.*'macro_f1'"):
        build_tables(runs, ["macro_f2"])


def test_tables_that_lack_a_metric_are_shown_without_its_column(runs, make_record):
    tables = build_tables([*runs, make_record(dataset="sinusoid", regression=True)], ["macro_f1", "seeds"])
    assert [[column.name for column in table.columns] for table in tables] == [["macro_f1", "seeds"], ["seeds"]]
    tables = build_tables([*runs, make_record(dataset="sinusoid", regression=True)], metric="macro F1")
    assert ["macro F1" in table.title for table in tables] == [True, False]


def test_every_column_of_a_metric_has_a_known_name(runs):
    (table,) = build_tables(runs, ["all"])
    names = {column.name for column in table.columns if "macro_f1" in column.name}
    assert names and names <= metric_columns(["macro F1"])
    assert len({column.name for column in table.columns}) == len(table.columns)


def test_a_seed_that_reports_less_leaves_the_others(runs, make_run):
    (table,) = build_tables([*runs, make_run("maml", score=0.9, seed=1)], ["seeds", "macro_f1", "transductive"])
    _, cells = column(table, "macro_f1")
    assert cells["maml"].text == "75.0 ± 1.0", "one row, whatever else was reported"


def test_figures_draw_any_metric(runs):
    (group,) = group_records(runs, "macro_f1")
    view = view_of(group)
    assert view.metric == "macro F1, %" and [row.algorithm for row in view.rows] == ["reptile", "maml"]
    assert series.learning_curve(view.rows[0], "macro F1", "iteration", 100.0).mean[-1] == pytest.approx(85)
    assert series.step_curve(view.rows[0], "macro F1", 100.0).mean == pytest.approx([10, 85])
    _, _, (distribution, _) = series.distributions(view.rows, "macro F1", "inductive", 100.0)
    assert distribution.mean == pytest.approx(85)


def test_a_data_frame_has_a_row_for_each_metric_and_mode(runs):
    frame = load_records(*runs)
    assert len(frame) == 2 * 3 * 2
    chosen = frame[(frame.metric == "negative log-likelihood") & (frame["mode"] == "inductive")].set_index("algorithm")
    assert chosen.score.to_dict() == pytest.approx({"maml": 0.6, "reptile": 0.3})
    assert not chosen.higher_is_better.any()


def test_the_half_width_for_new_classes_follows_in_parentheses(make_record, with_modes):
    record = make_record("maml")
    interval = Interval(mean=0.93, low=0.887, high=0.973)
    modes = {
        mode: result.model_copy(update={"score_new_classes": interval}) for mode, result in record.test.modes.items()
    }
    (table,) = build_tables([with_modes(record, modes), make_record("reptile", score=0.8)])
    _, cells = column(table, "transductive")
    assert cells["maml"].text == "93.0 ± 1.0 (4.3)" and cells["reptile"].text == "80.0 ± 1.0"
    assert cells["maml"].data["new_classes_low"] == 0.887 and cells["maml"].data["new_classes_high"] == 0.973
    assert (
        "±: 95 % confidence interval for these test classes, over test episodes, for these checkpoints."
        in table.explanations
    )
    assert any(note.startswith("In parentheses: half-width for new classes.") for note in table.explanations)
    assert any(note.startswith("A score without parentheses") for note in table.notes)
    assert "on these test classes" in table.marked or not table.marked


def test_two_seeds_have_the_interval_of_their_mean_for_new_classes(make_record, with_classes):
    generator = np.random.default_rng(0)
    scores = generator.binomial(5, 0.7, (2, 60)) / 5
    runs = [with_classes(make_record(episodes=values, seed=seed)) for seed, values in enumerate(scores)]
    (table,) = build_tables(runs)
    shared = shared_classes(runs[0].test.classes.unpack())
    expected = interval_for_new_classes(scores.mean(), scores.mean(0), shared)
    _, cells = column(table, "transductive")
    assert cells["maml"].data["new_classes_high"] == pytest.approx(expected.high)
    (table,) = build_tables([runs[0], with_classes(runs[1], seed=1)])
    _, cells = column(table, "transductive")
    assert "new_classes_high" not in cells["maml"].data, "not the same episodes"


def test_with_three_seeds_the_interval_for_new_classes_is_over_seeds_too(make_record, with_classes):
    generator = np.random.default_rng(0)
    scores = generator.binomial(5, [[0.6], [0.7], [0.8]], (3, 60)) / 5
    runs = [with_classes(make_record(episodes=values, seed=seed)) for seed, values in enumerate(scores)]
    (table,) = build_tables(runs)
    _, cells = column(table, "transductive")
    data = cells["maml"].data
    over_seeds, new_classes = data["high"] - data["low"], data["new_classes_high"] - data["new_classes_low"]
    shared = shared_classes(runs[0].test.classes.unpack())
    classes_alone = interval_for_new_classes(scores.mean(), scores.mean(0), shared)
    assert data["interval_over"] == "seeds" and new_classes > classes_alone.high - classes_alone.low
    assert new_classes == pytest.approx(over_seeds, rel=0.5), "the seeds differ most"
