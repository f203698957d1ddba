"""The table of default and tuned options, and what other tables say about unequal tuning."""

import numpy as np
import pytest

from mamlbench.errors import NothingToDoError
from mamlbench.report import build_tables
from mamlbench.report.gate.result import compare_records
from mamlbench.report.loading import LoadedRecords
from mamlbench.report.tuning.tuned_tables import tuned_tables


@pytest.fixture
def tuned(make_record):
    """A record whose options were chosen from so many trials: ``tuned(20, "maml", episodes=[...])``."""

    def make(trials, algorithm="maml", **values):
        preset = values.pop("preset", "quick" if trials is None else "default" if trials == 1 else f"tuned-{trials}")
        options = {"inner_lr": 0.1 * (trials or 1)}
        record = make_record(algorithm, preset=preset, options=options, **values)
        return record.model_copy(update={"spec": record.spec.model_copy(update={"tuning_trials": trials})})

    return make


EPISODES = np.array([0.4, 0.6, 0.8, 0.6, 0.4, 0.6])


def cells(table):
    names = [column.name for column in table.columns]
    return {row.algorithm: dict(zip(names, row.cells, strict=True)) for row in table.rows}


def test_both_columns_stand_beside_each_other_with_the_order_before_and_after(tuned):
    records = [
        tuned(1, "maml", episodes=EPISODES),
        tuned(20, "maml", episodes=EPISODES + 0.02),
        tuned(None, "reptile", episodes=EPISODES - 0.1),
        tuned(20, "reptile", episodes=EPISODES + 0.1),
        tuned(None, "anil", episodes=EPISODES),
        tuned(20, "imaml", episodes=EPISODES),
    ]
    (table,) = tuned_tables(records)
    rows = cells(table)
    assert list(rows) == ["reptile", "maml"], "those that have both, the best tuned one first"
    assert rows["maml"]["default"].data[""] == pytest.approx(EPISODES.mean())
    assert rows["maml"]["tuned_20"].data[""] == pytest.approx(EPISODES.mean() + 0.02)
    assert rows["maml"]["change_20"].data[""] == pytest.approx(0.02)
    assert rows["reptile"]["change_20"].text.startswith("+20.0 ± 0.0")
    assert [rows[name]["rank_default"].text for name in ("maml", "reptile")] == ["1", "2"]
    assert [rows[name]["rank_tuned"].text for name in ("maml", "reptile")] == ["2", "1"]
    assert any("Left out" in note and "imaml" in note for note in table.notes)
    assert "Default and tuned options: omniglot, 5-way 1-shot: accuracy, %" in table.title


def test_each_number_of_trials_has_columns_of_its_own(tuned):
    records = [tuned(1), tuned(5, score=0.94), tuned(20, score=0.95), tuned(1, "anil"), tuned(5, "anil")]
    (table,) = tuned_tables(records)
    rows = cells(table)
    assert [c.title for c in table.columns if "trials" in c.title] == ["tuned (5 trials)", "tuned (20 trials)"]
    assert rows["anil"]["tuned_20"].text == "" == rows["anil"]["rank_tuned"].text
    assert list(rows) == ["maml", "anil"], "one that was not tuned so much comes last"


def test_where_lower_is_better_a_positive_change_is_one_for_the_better(tuned):
    records = [
        tuned(1, "maml", regression=True, episodes=EPISODES),
        tuned(20, "maml", regression=True, episodes=EPISODES - 0.1),
        tuned(1, "anil", regression=True, episodes=EPISODES - 0.05),
        tuned(20, "anil", regression=True, episodes=EPISODES - 0.05),
    ]
    (table,) = tuned_tables(records)
    rows = cells(table)
    assert rows["maml"]["change_20"].data[""] == pytest.approx(0.1)
    assert (rows["maml"]["rank_default"].text, rows["maml"]["rank_tuned"].text) == ("2", "1")
    assert table.notes[-1] == "Lower is better."


@pytest.mark.parametrize("change", [{"iterations": 400}, {"dataset": "glyphs"}, {"queries": 15}, {"seed": 7}])
def test_only_rows_that_differ_in_options_alone_are_paired(tuned, change):
    records = [tuned(1), tuned(20, **change)]
    if change == {"seed": 7}:  # the training seed may differ
        assert tuned_tables(records)
        return
    with pytest.raises(NothingToDoError, match="--preset FILE:default"):
        tuned_tables(records)


def test_a_failed_run_is_no_side(tuned):
    with pytest.raises(NothingToDoError):
        tuned_tables([tuned(1), tuned(20, status="diverged")])


def test_rows_of_unequal_tuning_are_named_below_every_table(tuned):
    (table,) = build_tables([tuned(20, "maml"), tuned(1, "anil"), tuned(None, "reptile")])
    (note,) = [note for note in table.notes if "tuned unequally" in note]
    assert "20 trials (maml); the default options (anil); not known (reptile)" in note
    for equal in ([tuned(20, "maml"), tuned(20, "anil")], [tuned(None, "maml"), tuned(None, "anil")]):
        (table,) = build_tables(equal)
        assert not [note for note in table.notes if "tuned unequally" in note]


def test_the_number_of_trials_is_a_column(tuned):
    (table,) = build_tables([tuned(20, "maml"), tuned(None, "anil")], ["trials"])
    assert {row.algorithm: row.cells[0].text for row in table.rows} == {"maml": "20", "anil": ""}


def test_compare_says_that_one_side_was_tuned_more(tuned):
    base, head = [tuned(None)], [tuned(20, preset="quick", score=0.95)]
    result = compare_records(LoadedRecords(base, [], []), LoadedRecords(head, [], []))
    (note,) = [note for note in result.notes if "tuned unequally" in note]
    assert "BASE: not known, HEAD: 20 trials" in note
    same = compare_records(LoadedRecords(head, [], []), LoadedRecords(head, [], []))
    assert not [note for note in same.notes if "tuned unequally" in note]


def test_a_quick_preset_that_was_tuned_itself_is_the_default(tuned):
    (table,) = tuned_tables([tuned(20, preset="quick"), tuned(39, score=0.95)])
    row = cells(table)["maml"]
    assert row["default"].text
    assert row["tuned_39"].text
    assert [column.title for column in table.columns if "trials" in column.title] == ["tuned (39 trials)"]
