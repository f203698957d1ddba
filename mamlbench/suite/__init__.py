"""Suites: a TOML file that says a grid of runs. Only files and plain data here; the runner plans and runs them."""

from mamlbench.suite.grid import Cell, Given, expand
from mamlbench.suite.read import Suite, read_changes, read_suite
from mamlbench.suite.suite_file import Conditions, Override, Settings, SuiteFile

__all__ = [
    "Cell",
    "Conditions",
    "Given",
    "Override",
    "Settings",
    "Suite",
    "SuiteFile",
    "expand",
    "read_changes",
    "read_suite",
]
