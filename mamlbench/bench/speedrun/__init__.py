"""Speedruns: how long an entry trains until its test score reaches a target, measured by turns with a baseline."""

from mamlbench.bench.speedrun.by_turns import SpeedrunPlan, plan_speedrun, run_speedrun
from mamlbench.bench.speedrun.speedrun_files import read_entries, read_ledger, read_target, write_result
from mamlbench.bench.speedrun.speedrun_verdict import SpeedrunVerdict, judge_speedrun

__all__ = [
    "SpeedrunPlan",
    "SpeedrunVerdict",
    "judge_speedrun",
    "plan_speedrun",
    "read_entries",
    "read_ledger",
    "read_target",
    "run_speedrun",
    "write_result",
]
