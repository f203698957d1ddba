"""The table of models and data sets."""

import csv
import io
import json

from mamlbench.record import SeenTestData
from mamlbench.record.stored_evaluation import TransferCell
from mamlbench.report.page.transfer_page import render_transfer_page
from mamlbench.report.render import RENDERERS
from mamlbench.report.transfer.transfer_table import transfer_table


def cells(record, seen="not seen", **changes):
    test = record.test.model_copy(update={"seen": SeenTestData(answer=seen, reasons=["because"]), **changes})
    return [
        TransferCell(record, "omniglot", 1, test),
        TransferCell(record, "<b>glyphs</b>", 5, reason="It cannot be fed."),
    ]


def test_a_cell_has_score_gain_and_whether_the_classes_were_seen(make_record):
    table = transfer_table(cells(make_record(name="one")))
    score, refused = table.rows[0].cells[1:]
    result = next(iter(make_record().test.modes.values()))
    assert score.data[""] == result.score.mean and score.data["gain"] == result.gain.mean
    assert score.text.count("±") == 2 and score.text.endswith("not seen") and not score.bad
    assert (refused.text, refused.data["reason"], refused.data[""]) == ("It cannot be fed.", "It cannot be fed.", None)
    assert [column.title for column in table.columns] == ["trained on", "omniglot, 1-shot", "<b>glyphs</b>, 5-shot"]


def test_seen_data_are_marked_with_the_reason(make_record):
    table = transfer_table(cells(make_record(name="one"), seen="seen"))
    assert table.rows[0].cells[1].bad and table.rows[0].cells[1].mark == "‡"
    assert any(note.startswith("‡ because: ") for note in table.notes)


def test_resized_images_are_named(make_record):
    table = transfer_table(cells(make_record(name="one"), resized_from=[3, 84, 84]))
    assert "omniglot from [3, 84, 84]" in " ".join(table.notes)
    assert table.rows[0].cells[1].data["resized_from"] == "3x84x84"


def test_rows_of_equal_settings_have_the_names_of_their_records(make_record):
    first, second = make_record(name="one"), make_record(name="two")
    table = transfer_table([*cells(first), *cells(second)])
    assert [row.settings for row in table.rows] == ["one", "two"]
    assert [row.settings for row in transfer_table(cells(first)).rows] == [""]


def test_what_differs_between_tests_is_no_condition(make_record):
    record = make_record(name="one")
    protocol = record.test.protocol.model_copy(update={"test_episodes": 77})
    other = record.test.model_copy(update={"protocol": protocol})
    table = transfer_table([*cells(record), TransferCell(record, "omniglot", 2, other)])
    assert table.conditions.test_episodes is None and table.conditions.ways == record.test.protocol.ways


def test_a_cell_that_was_not_tested_is_explained(make_record):
    first, second = make_record(name="one"), make_record(name="two")
    page = render_transfer_page(transfer_table([*cells(first), *cells(second)[:1]]))
    assert "An empty cell was not tested: without --shots, each model is tested with its own number of shots." in page
    assert "An empty cell" not in render_transfer_page(transfer_table(cells(first)))


def test_every_format_shows_the_table_and_escapes_names(make_record):
    table = transfer_table(cells(make_record(name="one")))
    (content,) = json.loads(RENDERERS["json"]([table]))
    assert content["rows"][0]["omniglot_1shot_seen"] == "not seen"
    (row,) = csv.DictReader(io.StringIO(RENDERERS["csv"]([table])))
    assert row["<b>glyphs</b>_5shot_reason"] == "It cannot be fed."
    page = render_transfer_page(table)
    assert "<b>glyphs" not in page and "It cannot be fed." in page and page.startswith("<!doctype html>")


def test_without_a_score_the_title_says_so(make_record):
    table = transfer_table([TransferCell(make_record(name="one"), "omniglot", 1, reason="It is missing.")])
    assert table.title == "Transfer: no cell has a score" and table.notes == []
