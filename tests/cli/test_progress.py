"""What a run shows while it runs."""

import pytest

from mamlbench.cli import progress
from mamlbench.cli.progress import ProgressDisplay
from mamlbench.plugin import load_plugins
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
