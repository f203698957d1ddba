"""Presets from studies: for each method the options that tuning chose, and those that it began with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamlbench import __version__
from mamlbench.api import Algorithm
from mamlbench.plugin import Plugins
from mamlbench.record.tuning_study import StudyHeader, TuningTrial
from mamlbench.run_spec import Preset, RunSpec, Tuned
from mamlbench.run_spec.search_space import hash_of_facts

DEFAULT = "default"
"""Name of the preset with the options of trial 0."""


def tuned_presets(
    header: StudyHeader, trials: Sequence[TuningTrial], chosen: TuningTrial, plugins: Plugins
) -> list[tuple[str, Preset]]:
    """Return the presets of one method, the tuned one first, each with the method's name.

    Args:
        header: the study.
        trials: those that count.
        chosen: the best of them.
        plugins: the loaded plugins, from which the options' defaults come.
    """
    name = header.spec.algorithm.name
    before = header.spec.tuning_trials or 1  # of the preset that tuning began with
    count = before + len(trials) - 1
    return [
        (name, _preset(header, trials, chosen, plugins, name=f"tuned-{count}", count=count)),
        (name, _preset(header, trials, trials[0], plugins, name=DEFAULT, count=before)),
    ]


def _preset(
    header: StudyHeader, trials: Sequence[TuningTrial], trial: TuningTrial, plugins: Plugins, *, name: str, count: int
) -> Preset:
    spec = header.spec
    training, protocol = spec.training, spec.protocol
    algorithm: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    episodes = {
        "train_ways": training.ways if training.ways != protocol.ways else None,
        "train_shots": training.shots if training.shots != protocol.shots else None,
        "train_queries": training.queries if training.queries != protocol.queries else None,
    }
    options = {**spec.algorithm.options, **trial.options}
    return Preset(
        name=name,
        dataset=spec.dataset.name,
        ways=protocol.ways,
        shots=protocol.shots,
        source=_source(trial, count, is_default=name == DEFAULT),
        iterations=training.iterations,
        meta_batch_size=training.meta_batch_size,
        **episodes,
        validations=max(1, -(-training.iterations // training.validate_every)),
        options=_set(options, algorithm, trial.options),
        backbone=spec.backbone.name,
        backbone_options=spec.backbone.options,
        dataset_options=_set(spec.dataset.options, plugins.registry.load("dataset", spec.dataset.name)),
        protocol={} if protocol.queries == 1 else {"queries": protocol.queries},
        tuned=_tuned(header, trials, trial, count),
    )


def _set(options: dict[str, Any], plugin: Any, always: Any = ()) -> dict[str, Any]:
    """The options that have another value than the plugin's default, and those in ``always``."""
    fields = plugin.Options.model_fields
    return {name: value for name, value in options.items() if name in always or value != fields[name].default}


def _source(trial: TuningTrial, count: int, *, is_default: bool) -> str:
    if is_default:
        return "the default options, trial 0 of a study"
    return f"the best of {count} trials on validation episodes (mamlbench tune), trial {trial.trial}"


def _tuned(header: StudyHeader, trials: Sequence[TuningTrial], trial: TuningTrial, count: int) -> Tuned:
    environments = [other.environment for other in trials if other.environment and other.trial <= trial.trial]
    code = environments[-1].code_hash if environments else "unknown"
    return Tuned(
        trials=count,
        trial=trial.trial,
        score=None if trial.score is None else round(trial.score, 6),
        default_score=None if trials[0].score is None else round(trials[0].score, 6),
        on=_scale(header.spec),
        sampler_seed=header.sampler_seed,
        space=hash_of_facts(header.space),
        date=max(other.started for other in trials)[:10],
        software=f"mamlbench {__version__}, code {code}",
    )


def _scale(spec: RunSpec) -> str:
    """What the trials were: ``omniglot 5-way 1-shot, conv4-strided (width=16), 140 iterations of 32``."""
    protocol, training = spec.protocol, spec.training
    ways = f"{protocol.ways}-way " if protocol.ways > 1 else ""
    width = {name: value for name, value in spec.backbone.options.items() if name in ("width", "hidden")}
    network = spec.backbone.name + (f" ({', '.join(f'{k}={v}' for k, v in width.items())})" if width else "")
    return (
        f"{spec.dataset.name} {ways}{protocol.shots}-shot, {network}, {training.iterations} iterations of "
        f"{training.meta_batch_size}, {protocol.validation_episodes} validation episodes, seed {spec.seed}"
    )
