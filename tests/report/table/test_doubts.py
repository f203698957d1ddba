"""Scores that must not be read as an ability that was learned, and how every format marks them."""

import csv
import io
import json

import pytest
from rich.console import Console

from mamlbench.record import Interval, ModeResult
from mamlbench.report import build_tables, print_table
from mamlbench.report.page.sections import make_sections
from mamlbench.report.render import RENDERERS

CHANCE = "not above chance (20.0 %)"
NO_GAIN = "not above the untrained network"


@pytest.fixture
def doubtful(make_record, with_modes):
    """Make a record whose scores lie around ``score``, and its gain around ``gain``, by ± 0.02 each."""

    def make(score, gain, constant=0, diverged=0, **settings):
        def around(mean):
            return Interval(mean=mean, low=mean - 0.02, high=mean + 0.02)

        record = make_record(**settings)
        good = ModeResult(score=around(0.9), untrained=around(0.5), gain=around(0.4), episode_scores=[0.9] * 10)
        bad = good.model_copy(update={"score": around(score), "gain": None if gain is None else around(gain)})
        record = with_modes(record, {"transductive": bad, "inductive": good})
        update = {"constant_predictions": {"transductive": constant}, "untrained_diverged": diverged}
        return record.model_copy(update={"test": record.test.model_copy(update=update)})

    return make


def notes_of(*records):
    (table,) = build_tables(records)
    return [note for note in table.notes if note.startswith("‡")]


def test_a_learned_score_has_no_mark(doubtful):
    (table,) = build_tables([doubtful(0.23, 0.03)])
    assert not any(cell.mark for row in table.rows for cell in row.cells) and notes_of(doubtful(0.23, 0.03)) == []


@pytest.mark.parametrize(
    ("record", "note"),
    [
        ({"score": 0.21, "gain": 0.03}, f"{CHANCE} (transductive)"),
        ({"score": 0.05, "gain": 0.03}, f"{CHANCE} (transductive)"),
        ({"score": 0.8, "gain": 0.01}, f"{NO_GAIN} (transductive)"),
        ({"score": 0.8, "gain": -0.3}, f"{NO_GAIN} (transductive)"),
        ({"score": 0.2, "gain": 0.0}, f"{CHANCE} (transductive); {NO_GAIN} (transductive)"),
        (
            {"score": 0.8, "gain": 0.3, "constant": 9},
            "all queries of an episode get the same prediction (9 of 10 episodes) (transductive)",
        ),
        (
            {"score": 0.8, "gain": None, "diverged": 3},
            "the untrained network has no score, because its predictions are not finite",
        ),
    ],
    ids=str,
)
def test_every_doubt_has_one_line(doubtful, record, note):
    assert notes_of(doubtful(**record)) == [f"‡ maml: {note}."]


def test_few_constant_predictions_are_no_doubt(doubtful):
    assert notes_of(doubtful(0.8, 0.3, constant=8)) == []


def test_seeds_are_taken_together(doubtful):
    seeds = [doubtful(0.8, gain, seed=seed) for seed, gain in enumerate((-0.01, 0.3, 0.29))]
    assert notes_of(*seeds) == [f"‡ maml: {NO_GAIN} (transductive)."]  # over seeds its interval includes zero
    assert notes_of(*(doubtful(0.8, gain, seed=seed) for seed, gain in enumerate((0.28, 0.3, 0.29)))) == []


def test_an_error_in_regression_has_no_chance_and_may_have_no_gain(make_record):
    record = make_record("maml", regression=True, ways=1, score=0.1)
    assert notes_of(record) == [f"‡ maml: {NO_GAIN}."]


def test_every_format_has_the_mark_and_its_note(doubtful):
    record = doubtful(0.2, 0.0)
    out = io.StringIO()
    print_table([record], Console(file=out, width=120))
    texts = {"terminal": out.getvalue(), **{name: write(build_tables([record])) for name, write in RENDERERS.items()}}
    assert "20.0 ± 2.0‡" in texts["terminal"] and f"‡ maml: {CHANCE}" in texts["terminal"]
    assert "20.0 ± 2.0‡" in texts["md"] and f"‡ maml: {CHANCE}" in texts["md"]
    assert r"20.0 $\pm$ 2.0$\ddagger$" in texts["latex"] and r"$\ddagger$ maml: not above chance" in texts["latex"]
    (row,) = csv.DictReader(io.StringIO(texts["csv"]))
    assert row["transductive_doubt"] == f"{CHANCE}; {NO_GAIN}" and "inductive_doubt" not in row
    (table,) = json.loads(texts["json"])
    assert table["rows"][0]["transductive_doubt"] == f"{CHANCE}; {NO_GAIN}"
    assert any(note.startswith("‡ maml") for note in table["notes"])
    ((section,), _) = make_sections([record], [], columns=(), sort=None, private=False)
    assert any(cell.mark == "‡" for cell in section.table.rows[0].cells)
    assert any(note.startswith("‡ maml") for note in section.notes)
