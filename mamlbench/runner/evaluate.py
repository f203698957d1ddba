"""Evaluation: adapt to every episode, score the queries; the untrained network on the same episodes beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from scipy import stats

from mamlbench.api import Algorithm
from mamlbench.engine import EXAMPLE_BYTES_AT_ONCE
from mamlbench.errors import ConfigError
from mamlbench.plugin import Plugins
from mamlbench.record import Evaluation, Interval, ModeResult
from mamlbench.run_spec import Component, Folders, Mode, Protocol, explain
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.checkpoints import load_model
from mamlbench.runner.device import resolve_device
from mamlbench.runner.engine_workload import task_bytes
from mamlbench.runner.meter import Meter

EPISODES_AT_ONCE = 100
"""The most; fewer where examples are large."""


EVERY_STEP_UP_TO, STRIDE = 5, 1.5
"""Queries are scored after every one of the first steps, then when so many times as many are taken, and at the end."""


@dataclass
class Scores:
    """Scores per episode: after the last step in every mode, and on the way there in the first mode."""

    final: dict[Mode, torch.Tensor]  # each [episodes]
    after_step: torch.Tensor  # [scored steps, episodes]
    steps: list[int]  # the numbers of the scored steps: 0, 1, ..., the last


def score_episodes(
    experiment: Experiment, algorithm: Algorithm, split: str, protocol: Protocol, meter: Meter, *, every_step: bool
) -> Scores:
    """Score the first episodes of ``split`` (as many as the protocol says for it)."""
    episodes = protocol.test_episodes if split == "test" else protocol.validation_episodes
    parts: list[Scores] = []
    at_once = _at_once(experiment, split, protocol)
    for first in range(0, episodes, at_once):
        count = min(at_once, episodes - first)
        with meter.segment("data"):
            batch = experiment.sampler.episodes(split, first, count, shots=protocol.shots, queries=protocol.queries)
        parts.append(_score_batch(experiment, algorithm, batch, protocol.modes, every_step=every_step))
    return Scores(
        {mode: torch.cat([part.final[mode] for part in parts]) for mode in protocol.modes},
        torch.cat([part.after_step for part in parts], dim=1),
        parts[0].steps,
    )


def _at_once(experiment: Experiment, split: str, protocol: Protocol) -> int:
    size = task_bytes(experiment.spec, experiment.dataset.splits[split], protocol.shots, protocol.queries)
    return min(EPISODES_AT_ONCE, max(1, EXAMPLE_BYTES_AT_ONCE // max(1, size)))


def _score_batch(
    experiment: Experiment, algorithm: Algorithm, batch: Any, modes: tuple[Mode, ...], *, every_step: bool
) -> Scores:
    def score(learner: Any, mode: Mode) -> torch.Tensor:  # [T]
        return experiment.objective.score(learner.predict(batch.query.x, mode), batch.query.y)

    first, *others = modes
    curve: dict[int, torch.Tensor] = {}  # number of the step -> [T]
    for number, learner in enumerate(algorithm.adaptation(batch.support, batch.keys)):
        if every_step and _is_scored(number, curve):
            curve[number] = score(learner, first)
    if number not in curve:
        curve[number] = score(learner, first)
    final = {first: curve[number], **{mode: score(learner, mode) for mode in others}}
    scores = {mode: values.cpu() for mode, values in final.items()}
    return Scores(scores, torch.stack(list(curve.values())).cpu(), list(curve))


def _is_scored(number: int, before: Iterable[int]) -> bool:
    return number <= EVERY_STEP_UP_TO or number >= STRIDE * max(before)


def make_evaluation(
    experiment: Experiment, split: str, protocol: Protocol, trained: Scores, untrained: Scores | None
) -> Evaluation:
    """Means and intervals from scores per episode."""
    metric = experiment.objective.metric
    modes = {}
    for mode in protocol.modes:
        ours = trained.final[mode]
        base = untrained.final[mode] if untrained is not None else None
        sign = 1.0 if metric.higher_is_better else -1.0
        modes[mode] = ModeResult(
            score=interval(ours),
            untrained=interval(base) if base is not None else None,
            gain=interval(sign * (ours - base)) if base is not None else None,
            episode_scores=_rounded(ours),
            untrained_episode_scores=_rounded(base) if base is not None else [],
        )
    return Evaluation(
        split=split,
        protocol=protocol,
        adaptation_steps=trained.steps[-1],
        metric=metric.name,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        modes={str(mode): result for mode, result in modes.items()},
        score_after_step=[float(value) for value in trained.after_step.mean(1)],
        steps_reported=trained.steps,
    )


def interval(values: torch.Tensor) -> Interval:
    """Mean and 95 % interval of the mean over episodes (Student's t)."""
    mean = float(values.double().mean())
    if bool(values.min() == values.max()):  # every episode scored the same: t has nothing to divide by
        return Interval(mean=mean, low=mean, high=mean)
    low, high = stats.ttest_1samp(values.double().numpy(), 0.0).confidence_interval(0.95)
    return Interval(mean=mean, low=float(low), high=float(high))


def evaluate_model(
    model: Path,
    plugins: Plugins,
    folders: Folders,
    *,
    protocol: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    device: str = "auto",
) -> Evaluation:
    """Test a trained model under another protocol; nothing is retrained.

    Args:
        model: a model artifact's folder, its model.json or model.safetensors, or the run's record.
        protocol: fields of Protocol to change (queries, test_episodes, modes, ...); not the ways.
        options: options of the algorithm to change (test_steps, inner_lr, ...).
        device: as for a run.

    Raises ConfigError where the model cannot be read or the change is impossible.
    """
    artifact = load_model(model)
    spec = artifact.spec
    changed = dict(protocol or {})
    if changed.get("ways", spec.protocol.ways) != spec.protocol.ways:
        raise ConfigError(f"The model's head has {spec.protocol.ways} outputs: --ways cannot be changed.")
    try:
        new_protocol = Protocol.model_validate({**spec.protocol.model_dump(), **changed})
    except ValidationError as error:
        raise ConfigError(*explain(error, Protocol.model_fields, "the protocol")) from error
    spec = spec.model_copy(
        update={
            "protocol": new_protocol,
            "device": str(resolve_device(device)),
            "algorithm": Component(name=spec.algorithm.name, options={**spec.algorithm.options, **(options or {})}),
        }
    )
    experiment = build_experiment(spec, plugins, load_dataset(spec, plugins, folders), training=False)
    meter = Meter(experiment.device)
    untrained = score_episodes(experiment, experiment.algorithm, "test", new_protocol, meter, every_step=False)
    experiment.algorithm.load_state({name: value.to(experiment.device) for name, value in artifact.state.items()})
    trained = score_episodes(experiment, experiment.algorithm, "test", new_protocol, meter, every_step=True)
    evaluation = make_evaluation(experiment, "test", new_protocol, trained, untrained)
    return evaluation.model_copy(update={"algorithm_options": options or {}})


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(float(value), 6) for value in values]
