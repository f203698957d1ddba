"""The gate: is HEAD worse than BASE? From two sets of records to verdicts and an exit code."""

from mamlbench.report.gate.result import GateResult, compare_records
from mamlbench.report.gate.thresholds import Threshold, parse_thresholds
from mamlbench.report.gate.verdict import Verdict

__all__ = ["GateResult", "Threshold", "Verdict", "compare_records", "parse_thresholds"]
