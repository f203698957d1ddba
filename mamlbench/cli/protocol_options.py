"""Options of the commands that test a model: the shape and number of episodes.

Each function takes the default that the help shows: ``run`` has its own defaults, ``evaluate`` uses those of the run.
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
    """Option --mode: how batch norm treats query examples."""
    return click.option(
        "--mode",
        "modes",
        multiple=True,
        type=click.Choice(MODES),
        help="How batch norm treats query examples at test time; repeat for several, the first selects a run's "
        f"checkpoint.  [default: {default}]",
    )


def metrics(default: str = "accuracy; in regression mean squared error") -> Decorator:
    """Option --metric: the metrics to report."""
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
    """Option --shots: support examples per class."""
    return _count("--shots", 1, "Support examples per class.", default)


def queries(default: str = "1") -> Decorator:
    """Option --queries: query examples per class."""
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
    """Option --test-episodes: the number of test episodes."""
    return _count("--test-episodes", 2, "Test episodes.", default)


def episode_seed(default: str = "0") -> Decorator:
    """Option --episode-seed: the seed of validation and test episodes."""
    return _count("--episode-seed", 0, "Seed of validation and test episodes.", default)


def _count(name: str, minimum: int, meaning: str, default: str) -> Decorator:
    return click.option(name, type=click.IntRange(min=minimum), help=f"{meaning}  [default: {default}]")
