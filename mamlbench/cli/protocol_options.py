"""Options of the commands that test a model: what an episode is, and how many there are.

Each is made with the default that its help shows: ``run`` has defaults of its own, ``evaluate`` keeps what the run had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mamlbench.cli.shared_options import Registered
from mamlbench.run_spec import MODES

AS_IN_THE_RUN = "as in the run"
Decorator = Callable[[Any], Any]


def modes(default: str = "transductive, inductive") -> Decorator:
    """How batch norm sees query examples."""
    return click.option(
        "--mode",
        "modes",
        multiple=True,
        type=click.Choice(MODES),
        help="How batch norm sees query examples at test time; repeat for several, the first selects a run's "
        f"checkpoint.  [default: {default}]",
    )


def metrics(default: str = "accuracy; in regression mean squared error") -> Decorator:
    """Which metrics are reported."""
    return click.option(
        "--metric",
        "metrics",
        multiple=True,
        type=Registered("metric"),
        help=f"A metric to report; repeat for several, the first selects a run's checkpoint.  [default: {default}]",
    )


def ways(default: str = "5") -> Decorator:
    """Classes per episode."""
    return _count("--ways", 1, "Classes per episode.", default)


def shots(default: str = "1") -> Decorator:
    """Support examples per class."""
    return _count("--shots", 1, "Support examples per class.", default)


def queries(default: str = "1") -> Decorator:
    """Query examples per class."""
    return _count("--queries", 1, "Query examples per class at test.", default)


def training(command: Any) -> Any:
    """What a training episode is, if it is another than a test episode."""
    decorators = (
        _count("--train-ways", 1, "Classes per training episode.", "the preset's, or --ways"),
        _count("--train-shots", 1, "Support examples per class in training.", "the preset's, or --shots"),
        _count("--train-queries", 0, "Query examples per class in training.", "the preset's, or --queries"),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def test_episodes(default: str = "600") -> Decorator:
    """How many test episodes."""
    return _count("--test-episodes", 2, "Test episodes.", default)


def episode_seed(default: str = "0") -> Decorator:
    """Which validation and test episodes."""
    return _count("--episode-seed", 0, "Seed of validation and test episodes.", default)


def _count(name: str, least: int, meaning: str, default: str) -> Decorator:
    return click.option(name, type=click.IntRange(min=least), help=f"{meaning}  [default: {default}]")
