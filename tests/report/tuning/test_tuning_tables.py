"""Tables, figure and page of studies."""

import pytest
from toy_record import make_spec

from mamlbench.errors import ConfigError
from mamlbench.record import current_environment
from mamlbench.record.tuning_study import StudyHeader, TuningTrial
from mamlbench.report.page.tuning_page import render_tuning_page
from mamlbench.report.render import to_markdown
from mamlbench.report.tuning.best_of_figure import save_best_of
from mamlbench.report.tuning.study_result import StudyResult
from mamlbench.report.tuning.tuning_tables import tuning_tables

SPACE = {
    "rate": {"kind": "LogUniform", "low": 0.001, "high": 1.0},
    "steps": {"kind": "IntRange", "low": 1, "high": 9, "log": False},
    "kind": {"kind": "OneOf", "values": ["a", None]},
}


def study(name, scores, *, higher=True, environments=()):
    header = StudyHeader(spec=make_spec(name), space=SPACE, sampler="random", sampler_seed=0)
    trials = [
        TuningTrial(
            trial=number,
            options={"rate": 0.1 * (number + 1), "steps": number, "kind": None},
            metric="accuracy" if higher else "mse",
            unit="%" if higher else "",
            higher_is_better=higher,
            status="diverged" if score is None else "finished",
            score=score,
            reason="a loss\nof NaN." if score is None else "",
            device_seconds=10.0,
            environment=environments[number] if number < len(environments) else None,
        )
        for number, score in enumerate(scores)
    ]
    return StudyResult.of(header, trials, len(trials))


def texts(table):
    return {row.algorithm: [cell.text for cell in row.cells] for row in table.rows}


def test_the_table_shows_the_curve_and_the_chosen_trial():
    curve, options = tuning_tables([study("maml", [0.5, 0.4, 0.6]), study("anil", [0.7, 0.2, 0.1])])
    assert [column.title for column in curve.columns[:3]] == ["default", "best of 2", "best of 3"]
    assert list(texts(curve)) == ["anil", "maml"], "the best first"
    assert texts(curve)["maml"] == ["50.0", "55.0 (5.0)", "60.0", "2", "", "30"]
    assert texts(curve)["anil"][:4] == ["70.0", "70.0", "70.0", "0"], "the default was the best"
    assert texts(options)["maml"][0] == "rate 0.001 to 1 (log), steps 1 to 9, kind a or None"
    assert texts(options)["maml"][1:] == [
        "rate=0.1, steps=0, kind=null",
        "rate=0.30000000000000004, steps=2, kind=null",
    ]


def test_a_failed_trial_counts_as_the_worst():
    (result,) = [study("maml", [0.5, None, 0.4])]
    assert list(result.curve.mean) == [0.5, 0.5, 0.5] and result.failed == 1
    failed_default = study("anil", [None, 0.3, 0.5])
    assert list(failed_default.curve.mean) == pytest.approx([0.3, 0.4, 0.5]) and failed_default.chosen.trial == 2
    nothing = study("imaml", [None, None])
    assert nothing.curve is None and nothing.chosen.trial == 0
    table, _ = tuning_tables([result, nothing, failed_default])
    assert list(texts(table)) == ["maml", "anil", "imaml"] or list(texts(table)) == ["anil", "maml", "imaml"]
    assert "imaml: 2 of 2 trials failed; trial 0 diverged: a loss of NaN." in table.notes
    assert texts(table)["imaml"] == ["", "", "", "0", "2", "20"]


def test_where_lower_is_better_the_lowest_is_chosen():
    result = study("maml", [0.5, 0.2, 0.9], higher=False)
    assert result.chosen.trial == 1 and list(result.curve.mean) == pytest.approx([0.5, 0.35, 0.2])
    assert "Lower is better." in tuning_tables([result])[0].notes


def test_trials_beyond_the_budget_do_not_count():
    full = study("maml", [0.5, 0.4, 0.9])
    assert StudyResult.of(full.header, full.trials, 2).chosen.trial == 0


def test_unequal_budgets_and_environments_are_named():
    here = current_environment()
    other = here.model_copy(update={"code_hash": "another"})
    notes = tuning_tables([study("maml", [0.5, 0.4], environments=[here, other]), study("anil", [0.5])])[0].notes
    assert any("1 to 2 (not equal yet)" in note for note in notes)
    assert "Trials were computed in 2 environments: code." in notes


def test_the_tables_can_be_written_in_every_format():
    text = to_markdown(tuning_tables([study("maml", [0.5, 0.4])]))
    assert "| maml | 50.0 | 50.0 | 0 |  | 20 |" in text and "search space" in text


@pytest.mark.parametrize(("format_", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_figure_is_drawn_the_same_each_time(format_, begins):
    results = [study(name, [0.5, 0.4, 0.6]) for name in ("maml", "anil", "imaml")]
    figure = save_best_of(results, format_)
    assert figure.startswith(begins) and figure == save_best_of(results, format_)
    if format_ == "svg":
        assert all(name in figure.decode() for name in ("maml", "anil", "imaml", "trials n"))


def test_a_figure_of_nothing_is_an_error():
    with pytest.raises(ConfigError, match="has a score to draw"):
        save_best_of([study("maml", [None])], "png")


def test_the_page_has_figure_and_tables_and_escapes_names():
    page = render_tuning_page([study("maml", [0.5, 0.4]), study("<b>", [0.3, 0.4])])
    assert "<svg" in page and "best of 2" in page and "&lt;b&gt;" in page and "<b>" not in page.split("</style>")[1]
    assert "<svg" not in render_tuning_page([study("maml", [None])])
