"""Verdicts as text for people and for programs: every part of a line, in every format."""

import json
import math
from dataclasses import fields, replace

import pytest

from mamlbench.errors import ExitCode
from mamlbench.report.gate.render import (
    legend,
    summary,
    to_benchmark,
    to_benchmark_bigger,
    to_json,
    to_markdown,
    to_text,
)
from mamlbench.report.gate.result import GateResult
from mamlbench.report.gate.verdict import Verdict

SCORE = Verdict(
    *("maml", "accuracy", "inductive", "%", 100.0, False, "worse"),
    series="maml #0123abcd",
    detail="why",
    base=0.5,
    head=0.45,
    change=-0.05,
    low=-0.08,
    high=-0.02,
    head_half_width=0.012,
    claim="algorithms",
    population="these classes",
    gated=True,
    test_data="not seen",
)
TIME = Verdict(
    *("maml", "device_seconds", "", "s", 1.0, True, "same"),
    series="maml #0123abcd",
    base=12.5,
    head=13.1,
    change=0.05,
    low=-0.01,
    high=0.11,
    claim="runs",
    passes=True,
)
ERROR = Verdict(
    *("reptile", "mean squared error", "transductive", "", 1.0, True, "better"),
    series="reptile #89ef4567",
    base=0.3,
    head=0.25,
    change=-0.05,
    low=-0.07,
    high=-0.03,
    claim="checkpoints",
    population="new classes",
    passes=True,
    changed=["inner_lr: 0.1 → 0.2", "clip: – → 10"],
)
RESULT = GateResult([SCORE, TIME, ERROR], ExitCode.REGRESSION, ["maml is worse"], ["a note"])
THESE = "Verdicts on scores hold for these test classes, which both sides share (--population these-classes)."
NEW = "Verdicts on scores hold for new classes like those tested: classes are random too."
SEEDS = "Scores: training seeds and shared episodes are both random effects (5 %, Holm-corrected)."
CHECKPOINTS = (
    "Scores with fewer than six seeds in total: claims about these checkpoints only (paired t-test on shared episodes, "
    "5 %, Holm-corrected). With six seeds, such as three per side, the claim is about the algorithm."
)
DATA = "Test data: whether the networks (BASE → HEAD if they differ) were trained on test classes or images."
TIMES = "Time and memory: ratio of the runs' geometric means (Student's t-test). Repeats are best interleaved."


def one(verdict):
    return GateResult([verdict], ExitCode.OK, [], [])


def test_markdown_is_a_summary_a_table_and_notes():
    head = "| configuration | metric | BASE | HEAD | change \\[95 %\\] | verdict | test data | reason |"
    lines = to_markdown(RESULT).split("\n")
    assert lines[:4] == ["**Gate failed: 1 of 3 comparisons is worse.**", "", "- maml is worse", ""]
    assert lines[4] in (head, head.replace("\\", "")) and lines[5] == "| " + " | ".join(["---"] * 8) + " |"
    cells = [[cell.strip().replace("\\", "") for cell in line.strip("|").split("|")] for line in lines[6:9]]
    score = "accuracy, inductive, %|50.0|45.0|-5.0 pp [-8.0, -2.0]|**worse (gated)**|not seen|why"
    time = "device_seconds, s|12.5|13.1|+5.0 % [-1.0, +11.0]|same||"
    error = "mean squared error, transductive|0.300|0.250|-0.050 [-0.070, -0.030]|**better**||"
    expected = [("maml", score), ("maml", time), ("reptile", error)]
    assert cells == [[name, *line.split("|")] for name, line in expected]
    notes = [THESE, NEW, SEEDS, CHECKPOINTS, DATA, TIMES, "reptile: inner_lr: 0.1 → 0.2; clip: – → 10", "a note"]
    assert [line.replace("\\", "") for line in lines[9:]] == ["", *(f"- {note}" for note in notes), ""]


def test_the_terminal_shows_each_configuration_with_its_identifier():
    text = to_text(RESULT)
    assert "\nmaml #0123abcd\n" in text and "\nreptile #89ef4567\ninner_lr: 0.1 → 0.2; clip: – → 10\n" in text
    assert text.rstrip().endswith("a note\nmaml is worse\nGate failed: 1 of 3 comparisons is worse.")
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("metric", "accuracy", "device"))]
    assert " ".join(rows[0]) == "metric BASE HEAD change [95 %] verdict test data reason"
    score = "accuracy, inductive, % 50.0 45.0 -5.0 pp [-8.0, -2.0] worse (gated) not seen why"
    assert " ".join(rows[1]) == score


def test_json_has_everything_and_no_number_that_is_none():
    content = json.loads(to_json(RESULT))
    assert list(content) == ["exit_code", "summary", "reasons", "notes", "verdicts"]
    assert (content["exit_code"], content["summary"]) == (1, summary(RESULT))
    assert (content["reasons"], content["notes"]) == (["maml is worse"], ["a note"])
    assert set(content["verdicts"][0]) == {field.name for field in fields(Verdict)}
    assert content["verdicts"][2]["changed"] == ERROR.changed
    (verdict,) = json.loads(to_json(one(replace(SCORE, low=-math.inf, base=math.nan))))["verdicts"]
    assert (verdict["low"], verdict["base"], verdict["head"]) == (None, None, 0.45)


def test_trackers_get_errors_where_smaller_is_better_and_scores_where_it_is_not():
    smaller, bigger = json.loads(to_benchmark(RESULT)), json.loads(to_benchmark_bigger(RESULT))
    assert smaller == [
        {
            "name": "maml #0123abcd: accuracy, inductive, error",
            "unit": "%",
            "value": pytest.approx(55.0),
            "extra": "worse; BASE 50.0; change -5.0 pp [-8.0, -2.0]; test data not seen",
            "range": "± 1.20",
        },
        {
            "name": "maml #0123abcd: device_seconds",
            "unit": "s",
            "value": 13.1,
            "extra": "same; BASE 12.5; change +5.0 % [-1.0, +11.0]",
        },
        {
            "name": "reptile #89ef4567: mean squared error, transductive",
            "unit": "score",
            "value": 0.25,
            "extra": "better; BASE 0.300; change -0.050 [-0.070, -0.030]",
        },
    ]
    assert [(entry["name"], entry["value"]) for entry in bigger] == [("maml #0123abcd: accuracy, inductive", 45.0)]


@pytest.mark.parametrize("change", [{"head": None}, {"head": math.nan}, {"head": 1e307}])
def test_a_value_that_is_none_or_not_finite_is_no_entry(change):
    assert json.loads(to_benchmark(one(replace(SCORE, **change)))) == []


def test_what_is_unknown_is_empty():
    missing = Verdict("maml", "accuracy", "inductive", "%", 100.0, False, "missing", "not in HEAD", head=0.4)
    (entry,) = json.loads(to_benchmark(one(missing)))
    assert entry["extra"] == "missing; BASE ; change unknown" and "range" not in entry
    row = next(line for line in to_markdown(one(missing)).splitlines() if line.startswith("| maml"))
    assert [cell.strip() for cell in row.strip("|").split("|")][2:6] == ["", "40.0", "", "missing"]
    assert "[" not in next(line for line in to_text(one(replace(SCORE, low=None))).splitlines() if "inductive" in line)


def test_a_doubt_marks_the_verdict_and_says_why():
    text = " ".join(to_text(one(replace(SCORE, doubt="2 classes are shared"))).split())
    assert "worse (gated)‡ not seen why; ‡ 2 classes are shared" in text
    assert "‡" not in to_text(one(SCORE))


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({"claim": "algorithms", "population": "these classes"}, [THESE, SEEDS]),
        ({"claim": "checkpoints", "population": "these classes"}, [THESE, CHECKPOINTS]),
        ({"claim": "algorithms", "population": "new classes"}, [NEW, SEEDS]),
        ({"claim": "runs", "population": None}, [TIMES]),
        ({"claim": "", "population": "these classes"}, []),
        ({"claim": "", "population": "new classes", "test_data": "seen"}, [DATA]),
    ],
)
def test_the_legend_explains_what_there_is_and_nothing_else(change, sentences):
    assert list(legend(one(replace(SCORE, test_data="") if "test_data" not in change else SCORE))) != []
    assert list(legend(one(replace(SCORE, **{"test_data": "", **change})))) == sentences


def test_kinds_are_counted_the_worst_first():
    kinds = ["same", "better", "missing", "not comparable", "inconclusive", "worse", "same"]
    passing = GateResult([replace(SCORE, kind=kind, passes=True) for kind in kinds], ExitCode.OK, [], [])
    counts = "1 worse, 1 inconclusive, 1 not comparable, 1 missing, 1 better, 2 same"
    assert summary(passing) == f"Gate passed: {counts} (thresholds apply to 7 of 7 comparisons)."
    failing = replace(passing, verdicts=[replace(one, passes=False) for one in passing.verdicts[2:6] * 2])
    failing = replace(failing, exit_code=ExitCode.REGRESSION)
    assert summary(failing) == (
        "Gate failed: 2 of 8 comparisons are worse, 2 are inconclusive, 2 are not comparable, 2 are missing."
    )


def test_without_a_verdict_that_fails_the_first_reason_is_the_summary():
    result = GateResult([], ExitCode.NOTHING, ["Skipped: 'x' cannot be read.", "Another"], [])
    assert summary(result) == "Gate failed: skipped: 'x' cannot be read."
