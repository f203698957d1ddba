"""Correct plugins, written as somebody outside the project would write them, pass every check: there is no false alarm.

They differ from the built-in ones in what a check may take for granted: what is adapted, where the outer gradient comes
from, how long a task takes, what inputs and targets are.
"""

from collections import Counter
from pathlib import Path

import pytest

from mamlbench.errors import ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.testing import CHECKS, subject_of

FOLDER = Path(__file__).with_name("correct")
FILES = sorted(FOLDER.glob("*.py"))
REGISTRY = load_plugins(FILES).registry
ENTRIES = [entry for kind in CHECKS for entry in REGISTRY.entries(kind) if Path(entry.origin) in FILES]
SUBJECTS = {(entry.kind, entry.name): subject_of(entry.kind, entry.load(), {}) for entry in ENTRIES}


def test_the_plugins_are_found():
    kinds = Counter(entry.kind for entry in ENTRIES)
    assert kinds == {"algorithm": 9, "backbone": 2, "dataset": 3, "metric": 1}


@pytest.mark.parametrize(
    "kind, name, check",
    [
        pytest.param(entry.kind, entry.name, check, id=f"{entry.name}-{check}")
        for entry in ENTRIES
        for check in CHECKS[entry.kind]
    ],
)
def test_a_correct_plugin_passes(kind, name, check):
    result = check(SUBJECTS[kind, name])
    assert result.status != "failed", result
    if result.status == "skipped":
        pytest.skip(result.message)


@pytest.mark.parametrize("name", ["value_targets", "token_sequences"])
def test_the_command_finds_nothing_wrong_with_a_file(project, name):
    done = project.run("check", str(FOLDER / f"{name}.py"))
    assert "0 failed" in done.out


@pytest.mark.parametrize(
    "dataset, options, metric",
    [
        ("phrases", (), "accuracy"),
        ("attributes", ("--queries", "5"), "label F1"),
        ("pendulum", ("--queries", "5"), "mean squared error"),
    ],
)
def test_a_run_takes_their_inputs_and_targets(project, dataset, options, metric):
    plugins = [argument for path in FILES for argument in ("--plugin", str(path))]
    few = ("--iterations", "1", "--meta-batch-size", "2", "--test-episodes", "3", "--validation-episodes", "2")
    project.run("run", *plugins, "--algo", "my-boil", "--dataset", dataset, "--engine", "loop", *few, *options, "-q")
    (record,) = project.records()
    assert record.status == "finished"
    assert list(record.test.metrics) == [metric]


def test_a_metric_of_several_labels_judges_no_other_tasks(project):
    plugin = ("--plugin", str(FOLDER / "value_targets.py"))
    done = project.run(
        "run", *plugin, "--algo", "maml", "--dataset", "pendulum", "--metric", "label F1", expect=ExitCode.USAGE
    )
    assert "'label F1' is a metric of multi-label, not of regression." in done.err
