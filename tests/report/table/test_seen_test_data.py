"""Whether a network has seen test data stands beside its score: in every format, in verdicts, and of old records."""

import csv
import io
import json

import pytest
from rich.console import Console

from mamlbench.record import SeenTestData
from mamlbench.report import LoadedRecords, build_tables, load_records, print_table
from mamlbench.report.across.complete_scores import collect_scores
from mamlbench.report.gate import compare_records
from mamlbench.report.gate.render import RENDERERS as VERDICTS
from mamlbench.report.gate.render import to_text
from mamlbench.report.page.sections import make_sections
from mamlbench.report.render import RENDERERS

SEEN = SeenTestData(answer="seen", classes=3, images=60, reasons=["it was trained on 3 of 20 test classes (a, b, c)"])
NOT_SEEN = SeenTestData(answer="not seen")
UNKNOWN = SeenTestData(answer="unknown", reasons=["its weights came by mail"])
OLD = "its record does not say what it was trained on"


@pytest.fixture
def make(make_record):
    """Make a record with an answer; None: a record of an earlier release."""

    def make(seen, algorithm="maml", **settings):
        record = make_record(algorithm, **settings)
        return record.model_copy(update={"test": record.test.model_copy(update={"seen": seen})})

    return make


def rows_of(*records):
    (table,) = build_tables(records)
    index = [column.name for column in table.columns].index("seen")
    return table, {row.algorithm: row.cells[index] for row in table.rows}


def test_the_column_stands_beside_the_scores(make):
    table, _ = rows_of(make(NOT_SEEN))
    names = [column.name for column in table.columns]
    assert names.index("seen") == max(names.index("transductive"), names.index("inductive")) + 1


def test_every_answer_has_its_reason_below_the_table(make):
    table, cells = rows_of(make(SEEN), make(NOT_SEEN, "fomaml"), make(UNKNOWN, "anil"), make(None, "reptile"))
    assert {name: cell.text for name, cell in cells.items()} == {
        "maml": "seen",
        "fomaml": "not seen",
        "anil": "unknown",
        "reptile": "unknown",
    }
    assert "Test data: whether the network was trained on test classes or images." in table.explanations
    assert {note for note in table.notes if note.startswith("Test data of")} == {
        f"Test data of maml seen: {SEEN.reasons[0]}.",
        f"Test data of anil unknown: {UNKNOWN.reasons[0]}.",
        f"Test data of reptile unknown: {OLD}.",
    }


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((NOT_SEEN, NOT_SEEN), "not seen"),
        ((NOT_SEEN, None), "unknown"),
        ((UNKNOWN, SEEN), "seen"),
    ],
    ids=["all", "one old", "one seen"],
)
def test_one_seed_decides_for_a_row(make, answers, expected):
    _, cells = rows_of(*(make(seen, seed=seed) for seed, seen in enumerate(answers)))
    assert cells["maml"].text == expected


def test_a_seen_score_is_marked_and_others_are_not(make):
    for seen, is_marked in ((SEEN, True), (NOT_SEEN, False), (UNKNOWN, False), (None, False)):
        (table,) = build_tables([make(seen)])
        assert any(note.startswith("‡ maml: it was trained on 3") for note in table.notes) is is_marked


def test_regression_has_no_such_column(make):
    (table,) = build_tables([make(None, regression=True, ways=1)])
    assert "seen" not in [column.name for column in table.columns]
    assert "test data" not in RENDERERS["md"]([table])


@pytest.mark.parametrize(("seen", "text"), [(SEEN, "seen"), (NOT_SEEN, "not seen"), (UNKNOWN, "unknown")])
def test_every_format_has_the_answer(make, seen, text):
    record = make(seen)
    out = io.StringIO()
    print_table([record], Console(file=out, width=150))
    texts = {"terminal": out.getvalue(), **{name: write(build_tables([record])) for name, write in RENDERERS.items()}}
    for name in ("terminal", "md", "latex"):
        lines = [line for line in texts[name].splitlines() if "test data" in line or "maml " in line]
        heading, row = lines[:2]
        assert "test data" in heading and f" {text} " in row
    assert text.replace(" ", "&#160;") in texts["svg"]
    (row,) = csv.DictReader(io.StringIO(texts["csv"]))
    assert (row["seen"], row["seen_classes"], row["seen_images"]) == (text, str(seen.classes), str(seen.images))
    (table,) = json.loads(texts["json"])
    assert (table["rows"][0]["seen"], table["rows"][0]["seen_reason"]) == (text, "; ".join(seen.reasons))
    ((section,), _) = make_sections([record], [], columns=(), sort=None, private=False)
    assert [cell.text for cell in section.table.rows[0].cells if cell.text == text]
    assert list(load_records(record)["seen"]) == [text] * len(record.test.modes)


def verdicts(*sides):
    return compare_records(*(LoadedRecords([record], [], []) for record in sides))


@pytest.mark.parametrize(
    ("base", "head", "text"),
    [
        (NOT_SEEN, NOT_SEEN, "not seen"),
        (None, NOT_SEEN, "unknown → not seen"),
        (SEEN, SEEN, "seen"),
    ],
    ids=["not seen", "old base", "seen"],
)
def test_a_verdict_has_the_answer(make, base, head, text):
    result = verdicts(make(base), make(head))
    scores = [verdict for verdict in result.verdicts if verdict.population]
    assert {verdict.test_data for verdict in scores} == {text}
    assert {verdict.test_data for verdict in result.verdicts if verdict not in scores} == {""}
    assert text in " ".join(to_text(result).split()) and f"| {text} |" in VERDICTS["md"](result)
    assert {entry["test_data"] for entry in json.loads(VERDICTS["json"](result))["verdicts"]} == {text, ""}
    extras = {entry["extra"] for entry in json.loads(VERDICTS["benchmark"](result))}
    assert any(extra.endswith(f"; test data {text}") for extra in extras)
    assert bool([verdict for verdict in scores if SEEN.reasons[0] in verdict.doubt]) is (base is SEEN)


def test_a_comparison_across_data_sets_says_it_of_every_score(make):
    def notes(*answers):
        cells = [(name, dataset) for dataset in ("omniglot", "glyphs") for name in ("maml", "fomaml")]
        records = [make(seen, name, dataset=dataset) for seen, (name, dataset) in zip(answers, cells, strict=True)]
        return [note for note in collect_scores(records).notes if "est data" in note or "‡" in note]

    assert notes(*[NOT_SEEN] * 4) == ["Test data, in training: not seen, for every score."]
    several = notes(NOT_SEEN, UNKNOWN, SEEN, NOT_SEEN)
    assert several[0].startswith("‡ maml on glyphs 5-way 1-shot: it was trained on 3")
    assert "seen (maml on glyphs 5-way 1-shot); unknown (fomaml on omniglot 5-way 1-shot); not seen (" in several[1]
