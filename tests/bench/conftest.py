"""Fixtures of the benchmark's tests."""

import pytest


@pytest.fixture(autouse=True)
def preloaded_processes(monkeypatch, start_method):
    """Start the processes that are measured quickly."""
    for module in ("memory", "backbone_growth"):
        monkeypatch.setattr(f"mamlbench.bench.{module}.START_METHOD", start_method)
