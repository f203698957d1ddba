"""Short tables: one piece at any usual width, two lines of legend, and nothing that limits a comparison left out."""

import io

import pytest
from rich.console import Console

from mamlbench.report import build_tables, print_table
from mamlbench.report.render.brief import LEAVE_OUT, legend, narrow


def printed(records, width):
    out = io.StringIO()
    print_table(records, Console(file=out, width=width), brief=True)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_table_is_one_piece_that_fits(make_record, width):
    text = printed([make_record("maml"), make_record("reptile", score=0.8)], width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count(" algorithm ") == 1
    assert "transductive" in text


def test_a_wide_terminal_shows_every_default_column(make_record):
    text = printed([make_record("maml")], 200)
    assert all(title in text for title in ("preset", "MiB", "ms/it", "untrained", "gain", "seeds"))


def test_the_legend_has_two_lines_at_80_columns(make_record):
    text = printed([make_record("maml"), make_record("reptile", score=0.8)], 80)
    below = text[text.index("±: 95 %") :].splitlines()
    legend_lines = below[: next(i for i, line in enumerate(below) if "--notes" in line) + 1]
    assert len(legend_lines) <= 2


def test_failures_and_incomplete_data_are_named(make_record):
    failed = make_record("reptile", status="diverged", reason="The loss is nan.")
    assert "reptile, seed 0: diverged: The loss is nan." in printed([make_record("maml"), failed], 200)


def test_columns_are_left_out_until_it_fits_but_never_the_first_score(make_record):
    (table,) = build_tables([make_record("maml")])
    narrowed = narrow(table, lambda _: False)
    assert [column.name for column in narrowed.columns] == ["transductive", "gain"]
    assert [len(row.cells) for row in narrowed.rows] == [2]
    assert narrow(table, lambda _: True) is table
    assert {"transductive", "gain"} & {*LEAVE_OUT} == {"transductive"}


def test_a_legend_explains_only_what_is_shown(make_record):
    (table,) = build_tables([make_record("maml")], columns=["seeds"])
    assert not any("gain" in line or "±" in line for line in legend(table, "*"))
