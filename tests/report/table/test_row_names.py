"""Names of rows: the user's label, or the fewest settings that distinguish a row."""

from hypothesis import given
from hypothesis import strategies as st

from mamlbench.report import build_tables
from mamlbench.report.figures.view import labels_of
from mamlbench.report.table.groups import group_records
from mamlbench.report.table.row_names import row_names, short_settings

SETTINGS = st.lists(
    st.dictionaries(st.sampled_from(["preset", "backbone", "a", "b", "c"]), st.integers(0, 2)), min_size=1, max_size=6
)


def names(*records):
    (table,) = build_tables(records)
    return sorted(row.name for row in table.rows)


def labeled(record, label):
    return record.model_copy(update={"spec": record.spec.model_copy(update={"label": label})})


def test_the_only_row_of_a_method_is_called_by_it(make_record):
    assert names(make_record("maml"), make_record("reptile")) == ["maml", "reptile"]


def test_one_setting_is_enough_if_it_distinguishes_all_rows(make_record):
    one = make_record("maml", options={"inner_lr": 0.1, "outer_lr": 0.1})
    two = make_record("maml", options={"inner_lr": 0.2, "outer_lr": 0.2})
    assert names(one, two) == ["maml (inner_lr=0.1)", "maml (inner_lr=0.2)"]


def test_a_preset_stands_for_all_that_it_changes(make_record):
    tuned = make_record("maml", preset="tuned-20", options={"inner_lr": 0.7})
    assert names(make_record("maml"), tuned) == ["maml (quick)", "maml (tuned-20)"]


def test_a_label_is_the_name_in_tables_and_figures(make_record):
    records = [labeled(make_record("maml", options={"inner_lr": 0.7}), "ours"), make_record("maml")]
    assert "ours" in names(*records)
    (group,) = group_records(records)
    assert "ours" in labels_of(group.rows)


def test_rows_of_the_same_label_are_distinguished(make_record):
    one, two = (labeled(make_record("maml", options={"inner_lr": rate}), "ours") for rate in (0.1, 0.2))
    assert names(one, two) == ["ours (inner_lr=0.1)", "ours (inner_lr=0.2)"]


@given(SETTINGS)
def test_short_settings_distinguish_as_many_rows_as_all_of_them_do(settings):
    shortened = short_settings(settings)
    assert len({repr(sorted(s.items())) for s in shortened}) == len({repr(sorted(s.items())) for s in settings})
    for short, full in zip(shortened, settings, strict=True):
        assert short.items() <= full.items()


@given(SETTINGS)
def test_there_is_a_name_for_each_row(settings):
    assert len(row_names("maml", [""] * len(settings), settings)) == len(settings)
