"""Suites: TOML files that describe a grid of runs. Files and plain data only; the runner plans and runs them."""

from mamlbench.suite.grid import GridCell, SettingValue, expand
from mamlbench.suite.read import Suite, read_changes, read_suite
from mamlbench.suite.suite_file import CellConditions, Override, SuiteFile, SuiteSettings

__all__ = [
    "CellConditions",
    "GridCell",
    "Override",
    "SettingValue",
    "Suite",
    "SuiteFile",
    "SuiteSettings",
    "expand",
    "read_changes",
    "read_suite",
]
