"""``mamlbench report --across``, through the real command line."""

import pytest

from mamlbench.cli import across_report
from mamlbench.errors import ExitCode
from mamlbench.report.across.across_panels import PANELS


@pytest.fixture
def recorded(study, tmp_path, monkeypatch):
    """A results folder with the records of a study."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for index, record in enumerate(study()):
        (tmp_path / "results" / f"{index}.json").write_text(record.model_dump_json())
    return tmp_path


def test_the_names_of_figures_are_those_that_can_be_drawn():
    assert tuple(PANELS) == across_report.FIGURES


def test_methods_are_compared_across_the_results_folder(recorded, call):
    code, out, _ = call("report", "--across")
    assert code == ExitCode.OK
    assert "Interquartile mean of accuracy, % (8 cells of 4 data sets)" in out and "Performance profile" in out
    assert "Probability of improvement: 6 pairs" in out
    assert "Mean ranks (8 cells" in out and "Friedman's test" in out and "Bayesian signed-rank comparison" in out
    assert "within 1 percentage point" in out
    assert "within 2.5 percentage points" in call("report", "--across", "--rope", "2.5pp")[1]


def test_tables_and_figures_are_written_to_files(recorded, call):
    for format_ in ("csv", "latex", "md", "json", "svg"):
        assert call("report", "--across", "--format", format_, "--output", f"across.{format_}")[0] == ExitCode.OK
        assert "protonet" in (recorded / f"across.{format_}").read_text()
    for name in across_report.FIGURES:
        arguments = ("--figure", name, "--format", "png", "--output", f"{name}.png")
        assert call("report", "--across", *arguments)[0] == ExitCode.OK
        assert (recorded / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--figure", "iqm", "--format", "svg"], "Add --across"),
        (["--mode", "inductive"], "Add --across"),
        (["--rope", "1pp"], "Add --across"),
        (["--across", "--rope", "wide"], "'wide' is not a practical difference"),
        (
            ["--across", "--figure", "time", "--format", "svg"],
            "With --across: iqm, profiles, improvement, ranks, bayes",
        ),
        (["--across", "--sort", "score"], "--columns and --sort"),
        (["--across", "--mode", "support+query"], "test score in the mode support+query"),
        (["--across", "--metric", "macro F1"], "reports the metric 'macro F1'"),
        (["--across", "results/0.json"], "Here 1 method and 1 cell have runs: omniglot 5-way 1-shot: maml."),
    ],
)
def test_what_cannot_be_compared_is_an_error_with_a_suggestion(recorded, call, arguments, message):
    code, _, err = call("report", *arguments)
    assert code == ExitCode.USAGE and message in " ".join(err.split())
