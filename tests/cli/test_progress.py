"""What a run shows while it runs."""

import io

import pytest
from rich.console import Console

from mamlbench.cli import progress
from mamlbench.plugin import load_plugins
from mamlbench.progress.display import ProgressDisplay, counted
from mamlbench.run_spec import RunRequest
from mamlbench.runner.plan import plan


@pytest.mark.parametrize("first", [1, 501])
def test_the_time_left_is_estimated_from_this_process_s_steps(monkeypatch, capsys, first):
    """A run that goes on from step 500 has taken no time for those."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
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
    monkeypatch.setattr(progress, "console", lambda *, stderr, quiet: terminal)
    with counted("Verifying", 3, quiet=quiet) as (advance, preparation):
        preparation("toy", 5, 10)
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
