"""Plans the training protocol of a run, and refuses what the method cannot do or would ignore."""

from __future__ import annotations

from mamlbench.api import Algorithm
from mamlbench.errors import ConfigError, ConfigProblem
from mamlbench.run_spec import Preset, Protocol, RunRequest, Training

EPISODE_SETTINGS = ("train_ways", "train_shots", "train_queries")
"""Settings of training episodes, as fields of a request; their flags have dashes."""


def plan_training(
    request: RunRequest, preset: Preset, protocol: Protocol, algorithm: type[Algorithm], *, name: str, kind: str
) -> Training:
    """Fill in the training protocol: the user's settings, else the preset's, else those of the test.

    Args:
        request: the user's settings; None: as in the preset.
        preset: the method's settings.
        protocol: how the run is validated and tested.
        algorithm: the method's class.
        name: its registered name.
        kind: 'classification', 'regression', 'multi-label' or 'reinforcement', what the tasks are.

    Raises ConfigError that names every setting that the method or the data set would ignore.
    """
    iterations = _first(request.iterations, preset.iterations)
    evenly = -(-iterations // preset.validations)
    training = Training(
        iterations=iterations,
        meta_batch_size=_first(request.meta_batch_size, preset.meta_batch_size),
        ways=_first(request.train_ways, preset.train_ways, protocol.ways),
        shots=_first(request.train_shots, preset.train_shots, protocol.shots),
        least_ways=_least(request, protocol, preset, "ways"),
        least_shots=_least(request, protocol, preset, "shots"),
        queries=_first(request.train_queries, preset.train_queries, protocol.queries) if algorithm.uses_queries else 0,
        validate_every=_first(request.validate_every, max(1, evenly)),
        checkpoint_every=request.checkpoint_every or 0,
        checkpoint_seconds=request.checkpoint_seconds,
        target_score=request.target_score,
        on_divergence=request.on_divergence,
        allow_leak=request.allow_leak,
    )
    problems = _ignored(request, algorithm, name, kind) or _impossible(request, training, protocol, algorithm, name)
    if problems:
        raise ConfigError(*problems)
    return training


def _least(request: RunRequest, protocol: Protocol, preset: Preset, name: str) -> int | None:
    """The least size of training episodes: the user's, or that of the test if the training has its sizes too."""
    if getattr(request, f"train_{name}") is not None or getattr(preset, f"train_{name}") is not None:
        least: int | None = getattr(request, f"least_train_{name}")
        return least
    least = getattr(protocol, f"least_{name}")
    return least


def _first(*values: int | None) -> int:
    """The first value that is given; the last one always is."""
    return next(value for value in values if value is not None)


def _ignored(request: RunRequest, algorithm: type[Algorithm], name: str, kind: str) -> list[ConfigProblem]:
    """A sentence for each setting that would change nothing."""
    requested = [setting for setting in EPISODE_SETTINGS if getattr(request, setting) is not None]
    if algorithm.trains_on == "examples":
        return [
            ConfigProblem(f"Algorithm '{name}' trains on labeled examples, not on episodes: leave out {flag}.", setting)
            for setting in requested
            for flag in [_flag(setting)]
        ]
    problems = []
    if request.train_ways is not None and kind != "classification":
        text = f"Tasks of {kind} have no classes: leave out --train-ways."
        problems.append(ConfigProblem(text, "train_ways"))
    if request.train_queries and not algorithm.uses_queries:
        text = f"Algorithm '{name}' does not look at the queries of training episodes: leave out --train-queries."
        problems.append(ConfigProblem(text, "train_queries"))
    return problems


def _impossible(
    request: RunRequest, training: Training, protocol: Protocol, algorithm: type[Algorithm], name: str
) -> list[ConfigProblem]:
    problems = []
    if training.ways != protocol.ways and not algorithm.any_ways:
        text = (
            f"Algorithm '{name}' has a network output for each class, so it trains with the ways it is tested with: "
            f"--train-ways must be {protocol.ways} or left out, or --ways be {training.ways}, too."
        )
        problems.append(ConfigProblem(text, "train_ways"))
    elif request.train_ways == 1 and protocol.ways > 1:
        text = "A training task of one class leaves nothing to distinguish: --train-ways must be 2 or more."
        problems.append(ConfigProblem(text, "train_ways"))
    if request.train_queries == 0 and algorithm.uses_queries:
        text = f"Algorithm '{name}' learns from the queries of training episodes: --train-queries must be 1 or more."
        problems.append(ConfigProblem(text, "train_queries"))
    return problems


def _flag(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"
