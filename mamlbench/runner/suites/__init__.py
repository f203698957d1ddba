"""Suites: plans the runs of a suite file, skips those that are complete, and runs the others."""
