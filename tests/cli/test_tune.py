"""``mamlbench tune`` through the real command line, and what is done with the presets that it writes."""

import json
import re

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

TUNE = [
    *("tune", "--algo", "fomaml", "--algo", "protonet", "--dataset", "toy", "--plugin", "toy.py", "--ways", "3"),
    *("--queries", "2", "--budget", "2", "--length", "0.01", "--validations", "1", "--validation-episodes", "10"),
    *("-o", "backbone.width=4", "--engine", "vmap"),
]
RUN = [
    *("run", "--dataset", "toy", "--plugin", "toy.py", "--ways", "3", "--test-episodes", "10", "--engine", "vmap"),
    *("--validation-episodes", "10", "-q", "--json"),
]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, toy_plugin):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "toy.py").write_text(toy_plugin.read_text())
    return tmp_path


def test_methods_are_tuned_run_with_what_was_found_and_shown_beside_the_default(project, call):
    code, out, err = call(*TUNE, "--figure", "curve.svg")
    assert code == ExitCode.OK
    assert "Tuning, toy, 3-way 1-shot: validation accuracy, %, transductive" in out and "best of 2" in out
    assert "fomaml, trial 1: accuracy" in err and "4 of 4 trials" in err and re.search(r"about \d+ s left", err)
    assert (project / "curve.svg").read_text().startswith("<?xml")
    presets = project / "results" / "tuning" / "toy-3w1s-2.toml"
    assert f"Written: {presets.relative_to(project)}" in err

    code, again, err = call(*TUNE, "-q")
    assert (code, again) == (ExitCode.OK, out) and "trial" not in err, "nothing was run again"

    for name, trials in (("", 21), (":default", 20)):
        for method in ("fomaml", "protonet"):
            code, out, _ = call(*RUN, "--algo", method, "--preset", f"{presets}{name}")
            (record,) = json.loads(out)
            assert code == ExitCode.OK and record["spec"]["tuning_trials"] == trials
            assert record["spec"]["backbone"]["options"]["width"] == 4
            assert record["spec"]["training"]["iterations"] == {"fomaml": 10, "protonet": 7}[method]
            assert record["spec"]["protocol"]["queries"] == 2
    code, out, _ = call("report", "--tuned")
    assert code == ExitCode.OK and "tuned (21 trials)" in out and "fomaml" in out and "rank before" in out
    code, out, _ = call("report", "--tuned", "--format", "json")
    (table,) = json.loads(out)
    assert {row["algorithm"] for row in table["rows"]} == {"fomaml", "protonet"}


@pytest.mark.slow
def test_an_option_of_the_user_is_no_longer_tuned(project, call):
    call(*TUNE, "-q", "--output", "found.toml")
    code, out, _ = call(*RUN, "--algo", "fomaml", "--preset", "found.toml", "-o", "inner_lr=0.2")
    assert code == ExitCode.OK and json.loads(out)[0]["spec"]["tuning_trials"] is None
    code, out, _ = call(*RUN, "--algo", "fomaml", "--preset", "found.toml", "-o", "backbone.width=5")
    assert json.loads(out)[0]["spec"]["tuning_trials"] == 21, "the method's own options are as they were tuned"


@pytest.mark.slow
def test_trials_of_a_preset_that_was_tuned_before_are_added_up(project, call):
    call(*TUNE, "-q", "--output", "found.toml")
    code, _, _ = call(*TUNE, "-q", "--preset", "found.toml", "--output", "further.toml")
    assert code == ExitCode.OK
    for name, trials in (("tuned-22", 22), ("default", 21)):
        _, out, _ = call(*RUN, "--algo", "protonet", "--preset", f"further.toml:{name}")
        assert json.loads(out)[0]["spec"]["tuning_trials"] == trials


def test_json_holds_every_trial(call):
    code, out, _ = call(*TUNE, "--json", "-q")
    content = json.loads(out)
    assert code == ExitCode.OK and content["presets"].endswith("toy-3w1s-2.toml")
    for study in content["studies"]:
        assert [trial["trial"] for trial in study["trials"]] == [0, 1]
        assert study["expected_best"][1] == max(trial["score"] for trial in study["trials"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algo", "mamml"], "Did you mean 'maml'?"),
        (["--figure", "curve.gif"], "ends in .png, .pdf, .svg, .html"),
        (["-o", "inner_rl=3"], "Did you mean 'inner_lr'?"),
        (["--preset", "none.toml"], "none.toml' cannot be read"),
        (["--preset", "papper"], "Did you mean 'paper'?"),
    ],
)
def test_a_mistake_is_named_before_anything_is_run(project, call, arguments, message):
    code, _, err = call(*TUNE, *arguments)
    assert code == ExitCode.USAGE and message in err and not (project / "results").exists()


def test_all_trials_that_fail_are_a_failure(project, call):
    code, out, err = call(*TUNE[:1], "--algo", "raises", *TUNE[5:], "--length", "0.05")
    assert code == ExitCode.RUN_FAILED and "the plugin's own mistake" in err
    assert "raises" in out


def test_an_interrupt_says_how_to_go_on(project, call):
    code, out, err = call(*TUNE[:1], "--algo", "interrupts", *TUNE[5:], "--length", "0.05")
    assert (code, out) == (ExitCode.INTERRUPTED, "") and "Run the same command again to go on." in err


def test_report_refuses_what_the_table_of_tuning_does_not_take(call, project):
    code, _, err = call("report", "--tuned")
    assert code == ExitCode.NOTHING
    for arguments in (["--columns", "score"], ["--across"], ["--sort", "score"]):
        code, _, err = call("report", "--tuned", *arguments)
        assert code == ExitCode.USAGE and "--tuned is a table of its own" in err
    code, _, err = call("report", "--tuned", "--format", "html")
    assert code == ExitCode.USAGE and "--tuned writes tables" in err


def test_info_shows_what_tuning_tries(call):
    code, out, _ = call("info", "maml")
    assert code == ExitCode.OK and "tuning tries" in out and "0.0003 to 0.03, log" in out
    code, out, _ = call("info", "maml", "--json")
    options = {option["name"]: option for option in json.loads(out)[0]["options"]}
    assert options["test_steps"]["tuning"] == "1 to 10" and "tuning" not in options["train_steps"]


@pytest.mark.slow
def test_records_of_tuned_runs_are_read_back(project, call):
    call(*TUNE, "-q")
    call(*RUN, "--algo", "fomaml", "--preset", "results/tuning/toy-3w1s-2.toml")
    (path,) = (project / "results").glob("*.json")
    assert read_record(path).spec.tuning_trials == 21 and read_record(path).spec.preset == "tuned-21"
