"""A plugin that fails in the middle of a run, whatever it raises: the record names plugin and line, the rest works."""

from pathlib import Path

import pytest

from mamlbench.errors import ConfigError, ExitCode, RunFailedError
from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan

FAILING = Path(__file__).parents[1] / "toys" / "failing_plugin.py"
TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 10,
    "validation_episodes": 10,
    "meta_batch_size": 2,
    "iterations": 4,
    "engine": "vmap",
}
REASONS = {
    "raises": "ValueError: a plugin's mistake (",
    "stops": "Stop: no exception (",
    "interrupts": "KeyboardInterrupt (",
    "exits": "SystemExit: 0 (",
}
LINES = {
    "raises": "raise ValueError",
    "stops": "raise Stop",
    "interrupts": "raise KeyboardInterrupt",
    "exits": "sys.exit",
}


@pytest.fixture
def run(tmp_path, toy_plugin):
    def run(*algorithms, metrics=None, **options):
        """Run these, one after the other; the options are those of 'failing'."""
        plugins = load_plugins([toy_plugin, FAILING])
        specs = []
        for name in algorithms:
            more = {"metrics": metrics} if metrics else {}
            own = options if name == "failing" else {}
            request = RunRequest(algorithms=(name,), options={"backbone.width": 4, **own}, **TINY, **more)
            specs += plan(request, plugins)
        return launch(specs, plugins, Folders(results=tmp_path / "results", cache=tmp_path / "cache"))

    return run


@pytest.mark.parametrize("where", ["init", "step", "validation"])
@pytest.mark.parametrize("how", REASONS)
def test_the_record_names_the_plugin_and_its_line(run, tmp_path, where, how):
    (record,) = run("failing", where=where, how=how)
    assert record.status == "failed"
    assert record.reason.startswith(REASONS[how]) and record.reason.isprintable()
    assert "plugin 'failing_plugin' (" in record.reason and f": {LINES[how]}" in record.reason
    when = {"init": "before the training", "step": "at iteration 1", "validation": "at iteration "}[where]
    assert when in record.reason
    assert read_record(tmp_path / "results" / f"{record.name}.json") == record
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_metric_that_exits_is_named(run):
    (record,) = run("fomaml", metrics=("exiting",))
    assert record.status == "failed" and "SystemExit: 3" in record.reason and ": sys.exit(3))" in record.reason


@pytest.mark.parametrize("how", ["stops", "exits"])
def test_options_that_fail_to_be_read_are_named(run, tmp_path, how):
    with pytest.raises(ConfigError, match="algorithm 'failing': its options cannot be read: ") as error:
        run("failing", how=f"early {how}")
    assert (
        REASONS[how] in str(error.value)
        and LINES[how] in str(error.value)
        and "failing_plugin.py, line" in str(error.value)
    )
    assert not (tmp_path / "results").exists()


def test_options_that_are_refused_are_explained_in_one_line(run):
    with pytest.raises(ConfigError, match=r"option 'how': .* a plugin's mistake, not 'early raises'"):
        run("failing", how="early raises")


def test_a_workers_plugin_is_named_and_the_other_runs_go_on(run):
    records = run("failing", "fomaml", where="step", how="exits")
    assert [record.status for record in records] == ["failed", "finished"]
    assert "plugin 'failing_plugin'" in records[0].reason


def test_a_worker_whose_plugin_leaves_at_once_is_seen_by_its_parent(run):
    records = run("failing", "fomaml", where="step", how="leaves")
    assert [record.status for record in records] == ["failed", "finished"]
    assert "ended without a result (exit code 0)" in records[0].reason


def test_a_worker_whose_plugin_fails_before_the_training_has_its_record(run):
    records = run("failing", "fomaml", where="init", how="stops")
    assert [record.status for record in records] == ["failed", "finished"]
    assert "Stop: no exception (before the training, in plugin 'failing_plugin'" in records[0].reason


def test_a_shipped_plugin_is_blamed_last(toy_plugin):
    """The shipped class is where the exception is raised; the plugin that extends it made it wrong."""
    plugins = load_plugins([toy_plugin, FAILING])
    blamed = {}
    for name in ("fomaml", "failing"):
        with pytest.raises(AttributeError) as caught:
            plugins.registry.load("algorithm", name).loss(None, None, None)
        blamed[name] = plugins.blame(caught.value)
    assert blamed["fomaml"].startswith("plugin 'builtin-algorithms' (") and "maml.py, line" in blamed["fomaml"]
    assert blamed["failing"].startswith("plugin 'failing_plugin' (") and "super().loss" in blamed["failing"]
    assert plugins.blame(RunFailedError("raised nowhere")) == ""


def test_the_command_ends_with_the_code_of_a_failed_run(project, toy_plugin):
    tiny = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    arguments = [
        "run",
        "--algo",
        "failing",
        *tiny,
        "-o",
        "where=step",
        "--plugin",
        str(toy_plugin),
        "--plugin",
        str(FAILING),
    ]
    done = project.run(*arguments, expect=ExitCode.RUN_FAILED)
    assert "failed" in done.out and "failing_plugin.py, line" in done.err
    (record,) = project.records()
    assert record.status == "failed"
