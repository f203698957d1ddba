"""Runs: plan, loop, checkpoints, meter, launch."""

from mamlbench.runner.calls import evaluate, run
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan, request

__all__ = ["evaluate", "evaluate_model", "launch", "plan", "request", "run"]
