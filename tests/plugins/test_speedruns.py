"""The speedruns that ship: their rules hold for their own entries."""

from pathlib import Path

import pytest

from mamlbench.bench.speedrun import plan_speedrun, read_target
from mamlbench.plugin import load_plugins
from mamlbench_plugins import speedruns

FILES = sorted(Path(speedruns.__file__).parent.glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entry_keeps_the_rule_of_its_track(path):
    target = read_target(path)
    plan = plan_speedrun(target, [entry.name for entry in target.entry], load_plugins())
    assert {entry.name for entry in plan.entries} == {entry.name for entry in target.entry}
    assert plan.baselines == {track.baseline for track in target.track} and len(plan.seeds) == target.seeds
