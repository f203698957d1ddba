"""Runs: plan, loop, checkpoints, meter, launch."""

from mamlbench.runner.adapt import adapt_model
from mamlbench.runner.calls import adapt, evaluate, run
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch, make_launcher
from mamlbench.runner.perform import perform
from mamlbench.runner.plan import plan, request
from mamlbench.runner.suite import SuiteCell, SuitePlan, plan_suite, run_suite

__all__ = [
    "SuiteCell",
    "SuitePlan",
    "adapt",
    "adapt_model",
    "evaluate",
    "evaluate_model",
    "launch",
    "make_launcher",
    "perform",
    "plan",
    "plan_suite",
    "request",
    "run",
    "run_suite",
]
