"""Suites: many runs from one file, and which of them are already complete."""
