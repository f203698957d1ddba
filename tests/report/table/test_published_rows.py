"""Published numbers beside a table: apart from the runs, with what differs cell by cell."""

import json

import pytest

from mamlbench.record import PublishedNumber
from mamlbench.report import build_tables
from mamlbench.report.render import RENDERERS
from mamlbench.report.table.groups import group_records
from mamlbench.report.table.published_rows import with_published_tables

PLAIN = {"dataset": "omniglot", "ways": 5, "shots": 1, "source": "a paper", "backbone": "4 convolutions"}


def number(name, algorithm="maml", **fields):
    return PublishedNumber(id=f"paper/{name}", algorithm=algorithm, **{**PLAIN, "score": 98.7, **fields})


def tables_of(records, *numbers):
    return with_published_tables(build_tables(records), group_records(records), numbers)


def cells(table):
    return [{column.name: cell for column, cell in zip(table.columns, row.cells, strict=True)} for row in table.rows]


def test_a_condition_that_differs_has_what_holds_here_beside_it(make_record):
    equal = number("a", mode="inductive", queries=1, test_episodes=600, steps=3, interval=0.4)
    other = number("b", mode="running", queries=15, test_episodes=1000, steps=100)
    runs, published = tables_of([make_record("maml", score=0.93)], equal, other)
    same, differing = cells(published)
    assert [same[name].text for name in ("mode", "queries", "episodes", "steps")] == ["inductive", "1", "600", "3"]
    assert differing["mode"].text == "running ≠ transductive, inductive"
    assert [differing[name].text for name in ("queries", "episodes", "steps")] == ["15 ≠ 1", "1000 ≠ 600", "100 ≠ 3"]
    assert differing["queries"].data == {"": 15, "here": "1"}
    assert same["network"].text == "4 convolutions (here conv4-strided)"
    assert [row.algorithm for row in runs.rows] == ["maml"], "the runs' own table is as before"


def test_the_methods_own_score_stands_beside_the_published_one(make_record):
    records = [make_record("maml", score=0.93), make_record("reptile", score=0.77)]
    _, published = tables_of(records, number("a", interval=0.4), number("b", "protonet"))
    maml, protonet = cells(published)
    assert (maml["score"].text, maml["here"].text) == ("98.7 ± 0.4", "93.0 ± 1.0")
    assert maml["score"].data == {"": pytest.approx(0.987), "half_width": pytest.approx(0.004)}
    assert protonet["here"].text == "" and protonet["steps"].text == "not stated"


def test_what_a_source_does_not_state_is_named_so(make_record):
    (cell,) = cells(tables_of([make_record("maml")], number("a", backbone=None))[1])
    assert {cell[name].text for name in ("mode", "queries", "episodes", "steps")} == {"not stated"}
    assert cell["network"].text == "not stated (here conv4-strided)" and cell["tier"].text == "quoted"


def test_only_numbers_of_the_data_set_task_and_metric_are_added(make_record):
    others = [
        number("a", dataset="miniimagenet"),
        number("b", ways=20),
        number("c", shots=5),
        number("d", metric="macro F1"),
    ]
    assert len(tables_of([make_record("maml")], *others)) == 1
    first, added, second = tables_of([make_record("maml"), make_record("maml", shots=5)], number("e"))
    assert added.title == "Published, not run here: omniglot, 5-way 1-shot: accuracy"
    assert first.conditions == added.conditions != second.conditions


def test_sources_and_second_hand_numbers_are_named_below(make_record):
    numbers = [number("a"), number("b", second_hand=True, note="an ensemble"), number("c", trained_on="test classes")]
    published = tables_of([make_record("maml")], *numbers)[1]
    assert [cell["note"].text for cell in cells(published)] == ["1", "2", "1"]
    assert published.notes[1:] == ["1  a paper", "2  a paper (second hand); an ensemble"]
    assert cells(published)[2]["trained_on"].text == "test classes"


@pytest.mark.parametrize("name", sorted(RENDERERS))
def test_every_format_shows_it(make_record, name):
    tables = tables_of([make_record("maml")], number("a", queries=15))
    text = RENDERERS[name](tables)
    assert "paper/a" in text and ("0.987" if name in ("csv", "json") else "98.7") in text
    if name == "json":
        assert json.loads(text)[1]["rows"][0]["queries_here"] == "1"
    if name == "latex":
        assert r"15 $\neq$ 1" in text
