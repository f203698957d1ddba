"""What a suite shows while it runs."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mamlbench.cli.suite_display import SuiteDisplay, show_plan
from mamlbench.plugin import load_plugins
from mamlbench.progress import display as progress
from mamlbench.progress.display import duration
from mamlbench.record import ResultStore
from mamlbench.run_spec import RunRequest
from mamlbench.runner.environment import run_environment
from mamlbench.runner.plan import plan
from mamlbench.runner.suites.completed_runs import RunHistory
from mamlbench.runner.suites.run_suite import SuiteCell, SuitePlan, environment_key


@pytest.fixture
def planned(tmp_path):
    plugins = load_plugins()
    specs = plan(RunRequest(algorithms=("maml",), seeds=45, iterations=10, device="cpu"), plugins)
    cells = [SuiteCell(spec, "to do", settings={"algorithm": "maml", "seed": spec.seed}) for spec in specs]
    environments = {environment_key(specs[0]): run_environment("cpu", plugins)}
    return SuitePlan("mine", cells, RunHistory(ResultStore(tmp_path)), environments)


def test_a_terminal_shows_the_run_and_the_suite(planned, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda stderr: Console(file=out, force_terminal=True, width=100))
    display = SuiteDisplay(planned)
    display.done = 1
    spec = planned.cells[1].spec
    display.mamlbench_run_started(spec=spec)
    display.mamlbench_progress(spec=spec, step=5, metrics={"loss": 0.5})
    display.bar.refresh()
    shown = out.getvalue()
    assert "2/45 maml on glyphs, seed 1" in shown and "suite mine" in shown and "1/45" in shown
    display.mamlbench_run_finished(spec=spec, record=None)
    assert [task.description for task in display.bar.tasks] == ["2/45 maml on glyphs, seed 1"]


def test_the_engines_that_are_tried_are_named(planned, monkeypatch, capsys):
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda stderr: Console(file=out, force_terminal=True, width=120))
    display, spec = SuiteDisplay(planned), planned.cells[0].spec
    display.mamlbench_run_started(spec=spec)
    display.mamlbench_trying_engine(spec=spec, engine="vmap[8]", seconds=None)
    display.bar.refresh()
    assert "Trying engines" in out.getvalue() and "vmap[8]" in out.getvalue()
    monkeypatch.setattr(progress, "console", lambda stderr: Console(file=out, force_terminal=False))
    lines = SuiteDisplay(planned)
    for engine, seconds in (("vmap", None), ("vmap[8]", 3.0), ("vmap+compiled", 240.0)):
        lines.mamlbench_trying_engine(spec=spec, engine=engine, seconds=seconds)
    (line,) = capsys.readouterr().err.splitlines()
    assert "maml on glyphs, seed 0: trying engine vmap+compiled, about 240 s" in line


def test_parallel_runs_have_one_bar_each(planned, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda stderr: Console(file=out, force_terminal=True, width=100))
    display = SuiteDisplay(planned)
    first, second = planned.cells[0], planned.cells[1]
    for cell in (first, second):
        display.mamlbench_run_started(spec=cell.spec)
    display.mamlbench_progress(spec=first.spec, step=3, metrics={"loss": 0.5})
    display.mamlbench_progress(spec=second.spec, step=7, metrics={"loss": 0.25})
    shown = [(task.description, task.completed) for task in display.bar.tasks]
    assert shown == [("1/45 maml on glyphs, seed 0", 3), ("2/45 maml on glyphs, seed 1", 7), ("suite mine", 0)]
    display.mamlbench_run_finished(spec=first.spec, record=None)
    display.ended(replace(first, state="finished"))
    shown = [(task.description, task.completed) for task in display.bar.tasks]
    assert shown == [("2/45 maml on glyphs, seed 1", 7), ("suite mine", 1)]
    assert "1/45 maml on glyphs, seed 0: finished" in out.getvalue()
    display.ended(replace(second, state="not started", reason="no data"))
    assert not display.runs and not display.bar.live.is_started


def test_the_plan_of_a_large_suite_is_shortened(planned, tmp_path, capsys):
    show_plan(planned, tmp_path)
    shown = capsys.readouterr().err
    assert "... and 5 more cells." in shown and "45 cells (45 to do)" in shown and "Time: unknown" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (99, "99 s"), (100, "2 min"), (7100, "118 min"), (7300, "2 h 02 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
