"""Fixtures of the benchmark's tests."""

import pytest


@pytest.fixture(autouse=True)
def preloaded_processes(monkeypatch, start_method):
    """Start the processes that are measured quickly."""
    monkeypatch.setattr("mamlbench.bench.memory.START_METHOD", start_method)
