"""What a run shows while it runs."""

import io

import pytest
from rich.console import Console

from mamlbench.plugin import load_plugins
from mamlbench.progress import display as display_module
from mamlbench.progress import preparation
from mamlbench.progress.bars import clock
from mamlbench.progress.display import ProgressDisplay
from mamlbench.progress.preparation import counted
from mamlbench.run_spec import RunRequest
from mamlbench.runner.plan import plan


@pytest.mark.parametrize("first", [1, 501])
def test_the_time_left_is_estimated_from_this_process_s_steps(monkeypatch, capsys, first):
    """A run that goes on from step 500 has taken no time for those."""
    now = [1000.0]
    monkeypatch.setattr(display_module.time, "monotonic", lambda: now[0])
    (spec,) = plan(RunRequest(algorithms=("maml",), iterations=1000, device="cpu"), load_plugins())
    display = ProgressDisplay()
    display.mamlbench_progress(spec=spec, step=first, metrics={"loss": 1.0})
    now[0] += 100
    display.mamlbench_progress(spec=spec, step=first + 100, metrics={"loss": 0.5})
    seconds = 1000 - (first + 100)  # one for each step
    assert f"loss 0.500, {seconds // 60}:{seconds % 60:02d} left" in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True])
def test_things_that_are_counted_have_a_bar_on_a_terminal_and_data_sets_one_beside_it(monkeypatch, quiet):
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=120, quiet=quiet)
    monkeypatch.setattr(preparation, "console", lambda *, stderr, quiet: terminal)
    with counted("Verifying", 3, quiet=quiet) as (advance, prepared):
        prepared("toy", 5, 10)
        advance("run [1] of [bold]maml")
    shown = out.getvalue()
    assert not quiet or not shown
    for text in ("Verifying", "1/3", "run [1] of [bold]maml", "Preparing toy", "5/10"):
        assert quiet or text in shown


@pytest.mark.parametrize("quiet", [False, True])
def test_elsewhere_only_a_preparation_says_something(capsys, quiet):
    with counted("Verifying", 3, quiet=quiet) as (advance, preparation):
        preparation("toy", 10, 10)
        advance("run")
    assert capsys.readouterr().err == ("" if quiet else "Preparing toy: 10 of 10\n")


@pytest.fixture
def specs():
    return plan(RunRequest(algorithms=("maml", "fomaml"), iterations=100, device="cpu"), load_plugins())


def on_terminal(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(
        display_module, "console", lambda stderr: Console(file=out, force_terminal=True, width=140, height=20)
    )
    return out


def rows(display):
    """The rows of all bars as text."""
    console = Console(width=140, file=io.StringIO())
    console.print(display.bar.get_renderable())
    return console.file.getvalue().splitlines()


def test_trying_engines_has_a_moving_bar_and_an_estimate_as_soon_as_there_is_one(monkeypatch, specs):
    on_terminal(monkeypatch)
    display = ProgressDisplay(specs[:1])
    display.mamlbench_run_started(spec=specs[0])
    display.mamlbench_trying_engine(spec=specs[0], engine="vmap", seconds=None)
    (row,) = (row for row in rows(display) if "Trying engines" in row)
    assert "vmap" in row and "0:00:00" in row  # the time since it began
    display.mamlbench_trying_engine(spec=specs[0], engine="vmap+compiled", seconds=245.0)
    (row,) = (row for row in rows(display) if "Trying engines" in row)
    assert "vmap+compiled" in row and ("4:04" in row or "4:05" in row)
    display.mamlbench_progress(spec=specs[0], step=1, metrics={"loss": 1.0})
    assert not any("Trying engines" in row for row in rows(display))
    display.close()


def test_several_runs_have_a_row_with_the_time_left_for_all(monkeypatch, specs):
    on_terminal(monkeypatch)
    now = [0.0]
    display = ProgressDisplay(specs)
    display.time_left._clock = lambda: now[0]
    display.mamlbench_run_started(spec=specs[0])
    for step in (0, 50):
        display.mamlbench_progress(spec=specs[0], step=step, metrics={"loss": 1.0})
        now[0] += 30
    (row,) = (row for row in rows(display) if "All runs" in row)
    assert "0/2" in row and "about 90 s left for all runs" in row  # 60 s each, of which 30 s have passed
    display.mamlbench_run_finished(spec=specs[0], record=None)
    assert not any("All runs" in row for row in rows(display))  # the rows that stay are those of runs


def test_one_run_has_no_row_of_all_runs(monkeypatch, specs):
    on_terminal(monkeypatch)
    display = ProgressDisplay(specs[:1])
    display.mamlbench_run_started(spec=specs[0])
    display.mamlbench_progress(spec=specs[0], step=1, metrics={"loss": 1.0})
    assert len(rows(display)) == 1
    display.close()


def test_after_an_interrupt_the_bar_says_so(monkeypatch, specs):
    on_terminal(monkeypatch)
    display = ProgressDisplay(specs[:1])
    display.mamlbench_run_started(spec=specs[0])
    monkeypatch.setattr("mamlbench.progress.bars.interrupted", lambda: True)
    assert "Interrupted, ending; once more ends at once" in rows(display)[0]
    display.close()


@pytest.mark.parametrize(("seconds", "text"), [(5.9, "0:05"), (750, "12:30"), (3900, "1:05:00")])
def test_clocks(seconds, text):
    assert clock(seconds) == text
