"""Metrics through the command line: those requested select checkpoints and are recorded, shown and compared."""

import json

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_episodes

TINY = (
    *("--dataset", "toy", "--ways", "3", "--queries", "4", "--test-episodes", "30", "--validation-episodes", "10"),
    *("--meta-batch-size", "4", "--iterations", "6", "--engine", "loop", "-o", "backbone.width=8"),
)
SEVERAL = ("--metric", "macro-f1", "--metric", "accuracy", "--metric", "negative log-likelihood")


@pytest.fixture
def recorded(project, toy_plugin):
    (project.path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')
    shown = project.run("run", "--algo", "fomaml", *SEVERAL, *TINY, "--keep-predictions")
    (record,) = project.records()
    return project, record, shown


def test_the_first_metric_selects_and_is_shown(recorded):
    project, record, shown = recorded
    assert record.spec.protocol.metrics == ("macro F1", "accuracy", "negative log-likelihood")
    assert "toy, 3-way 1-shot: macro F1, %" in shown.out and "log-likelihood" not in shown.out
    assert " %" in shown.err.partition("validation ")[2].splitlines()[0], "progress shows the first metric, in its unit"
    assert "trained/inductive/outputs" in read_episodes(record, project.path / "results")


def test_a_report_shows_any_of_them(recorded):
    project, record, _ = recorded
    table = project.run("report", "--columns", "score,negative_log_likelihood").out
    assert "negative log-likelihood, nats" in table and "Lower is better: negative log-likelihood." in table
    (table,) = project.run("report", "--metric", "accuracy", "--format", "json").json()
    assert table["rows"][0]["inductive"] == record.test.metrics["accuracy"].modes["inductive"].score.mean
    page = project.run("report", "--format", "html", "--metric", "negative log-likelihood").out
    assert "negative log-likelihood, nats, selected by macro F1" in page
    assert "validation negative log-likelihood, nats" in page, "figures show it too"
    wrong = project.run("report", "--metric", "macro F2", expect=ExitCode.USAGE)
    assert "Did you mean 'macro F1'?" in wrong.err


def test_a_gate_watches_any_of_them(recorded):
    project, _, _ = recorded
    result = project.run(
        "compare",
        "results",
        "results",
        "--fail",
        "macro F1:-1pp",
        "--fail",
        "negative log-likelihood:+5%",
        "--format",
        "json",
    ).json()
    gated = {verdict["metric"] for verdict in result["verdicts"] if verdict["gated"]}
    assert gated == {"macro F1", "negative log-likelihood"} and result["exit_code"] == ExitCode.OK


def test_another_test_reports_others(recorded):
    project, record, _ = recorded
    path = f"results/{record.name}.json"
    tested = project.run("evaluate", path, "--metric", "worst-class accuracy", "--json").json()
    assert list(tested["metrics"]) == ["worst-class accuracy"]
    again = json.loads(project.run("evaluate", path, "--json").out)
    assert again["metrics"] == json.loads(record.test.model_dump_json())["metrics"]
    assert "negative log-likelihood" in project.run("evaluate", path).out


def test_an_impossible_metric_is_refused_at_once(project):
    unknown = project.run("run", "--algo", "maml", "--metric", "acuracy", expect=ExitCode.USAGE)
    assert "Unknown metric 'acuracy'. Did you mean 'accuracy'?" in unknown.err
    other_kind = ("run", "--algo", "maml", "--dataset", "sinusoid", "--metric", "accuracy")
    assert "'accuracy' is a metric of classification" in project.run(*other_kind, expect=ExitCode.USAGE).err


def test_a_metric_is_listed_and_described(project):
    assert "worst-class accuracy" in project.run("list", "metrics").out
    (described,) = project.run("info", "expected calibration error", "--json").json()
    assert (described["kind"], described["unit"], described["direction"]) == ("metric", "%", "lower is better")
    assert described["options"] == [] and "Guo et al." in described["description"]
    assert "A metric has no options" in project.run("check", "accuracy", "-o", "x=1", expect=ExitCode.USAGE).err
