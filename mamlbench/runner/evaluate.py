"""Evaluation: the scores of a trained network beside those of the untrained one on the same episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from mamlbench.api import Algorithm, Dataset, ImageSplit, Metric, TaskSplit
from mamlbench.data.resized_split import ResizedSplit, resized_dataset
from mamlbench.engine import keep_memory
from mamlbench.errors import ConfigError, summarize_names
from mamlbench.objectives import TaskKind
from mamlbench.plugin import Plugins
from mamlbench.record import Evaluation, ImageUse, Interval, MetricResult, ModeResult, pack_classes
from mamlbench.run_spec import MOST_EPISODES_UNTIL, Folders, Precision, Protocol, RunSpec, explain, split_ranges
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.checkpoints import ModelArtifact, State, clone, load_model
from mamlbench.runner.choose_metrics import metric_names
from mamlbench.runner.component_options import complete_component, split_options
from mamlbench.runner.device import resolve_device
from mamlbench.runner.disturbed_episodes import refuse_label_noise
from mamlbench.runner.isolation import isolated
from mamlbench.runner.meter import Meter
from mamlbench.runner.model_state import foreign_tensors, refuse_foreign_state
from mamlbench.runner.scoring import Scores, score_test
from mamlbench.runner.sized_tasks import refuse_sizes
from mamlbench.shared_classes import SharedClasses, interval_for_new_classes, shared_classes
from mamlbench.student_t import confidence_interval


def make_evaluation(
    experiment: Experiment, split: str, protocol: Protocol, trained: Scores, untrained: Scores | None
) -> Evaluation:
    """Compute means and confidence intervals from scores per episode.

    If predictions of the untrained network were not finite, it has no score.
    """
    diverged = 0 if untrained is None else untrained.diverged
    untrained = None if diverged else untrained
    classes = _independent_classes(experiment.dataset.splits[split], trained.details.get("classes"))
    sizes = {} if not protocol.sizes_vary else trained.details
    if classes is not None and sizes:  # what an episode with fewer classes has in their place is none
        classes[np.arange(classes.shape[1]) >= sizes["ways"].numpy()[:, None]] = -1
    shared = None if classes is None else shared_classes(classes)
    return Evaluation(
        split=split,
        protocol=protocol,
        adaptation_steps=trained.steps[-1],
        metrics={metric.name: _metric_result(metric, trained, untrained, shared) for metric in experiment.metrics},
        steps_reported=trained.steps,
        precision=experiment.spec.precision,
        classes=None if classes is None or sizes else pack_classes(classes),
        image_use=None if trained.images is None else _image_use(trained.images),
        episode_ways=sizes["ways"].tolist() if sizes else [],
        episode_shots=sizes["shots"].tolist() if sizes else [],
        leaks=experiment.leaks,
        seen=experiment.seen,
        constant_predictions={str(mode): count for mode, count in trained.constant.items() if count},
        untrained_diverged=diverged,
    )


def _image_use(images: torch.Tensor) -> ImageUse:
    """Count how often the images ``[E, ways, shots + queries]`` of all episodes were used."""
    _, counts = torch.unique(images[images >= 0], return_counts=True)  # below zero: an episode with fewer
    return ImageUse(images=len(counts), average=int(counts.sum()) / len(counts), most=int(counts.max()))


def _independent_classes(split: TaskSplit, classes: torch.Tensor | None) -> NDArray[Any] | None:
    """Return the classes ``[E, ways]`` with a number in common for all rotations of a class: they are not new."""
    if classes is None:
        return None
    numbers: NDArray[Any] = classes.numpy()
    return numbers % len(split.class_names) if isinstance(split, ImageSplit) else numbers.copy()


def _metric_result(
    metric: Metric, trained: Scores, untrained: Scores | None, shared: SharedClasses | None
) -> MetricResult:
    sign = 1.0 if metric.higher_is_better else -1.0
    modes = {}
    for mode, scores in trained.final[metric.name].items():
        base = untrained.final[metric.name][mode] if untrained is not None else None
        gain = sign * (scores - base) if base is not None else None
        modes[str(mode)] = ModeResult(
            score=episode_interval(scores),
            untrained=episode_interval(base) if base is not None else None,
            gain=episode_interval(gain) if gain is not None else None,
            episode_scores=rounded(scores),
            untrained_episode_scores=rounded(base) if base is not None else [],
            score_new_classes=_interval_for_new_classes(scores, shared),
            gain_new_classes=_interval_for_new_classes(gain, shared) if gain is not None else None,
        )
    return MetricResult(
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        modes=modes,
        score_after_step=[float(value) for value in trained.after_step[metric.name].mean(1)],
    )


def episode_interval(scores: torch.Tensor) -> Interval:
    """The mean of the scores of episodes ``[episodes]``, and its 95 % confidence interval (Student's t)."""
    values = scores.double()
    return confidence_interval(float(values.mean()), values.numpy())


def _interval_for_new_classes(scores: torch.Tensor, shared: SharedClasses | None) -> Interval | None:
    values = scores.double()
    if shared is None or not bool(values.isfinite().all()):
        return None
    return interval_for_new_classes(float(values.mean()), values.numpy(), shared)


def evaluate_model(
    model: Path,
    plugins: Plugins,
    folders: Folders,
    *,
    dataset: str | None = None,
    protocol: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    resize: bool = False,
) -> Evaluation:
    """Test a trained model under another protocol or on other data; nothing is retrained.

    Args:
        model: a model artifact's folder, its model.json or model.safetensors, or the run's record.
        dataset: name of the data set to test on, with its own normalization; None: that of the run.
        protocol: fields of Protocol to change (queries, test_episodes, modes, metrics, ...); the ways only if the
            method has no output for each class.
        options: options of the algorithm to change (test_steps, inner_lr, ...), and of the data set
            (dataset.rotations, ...).
        device: as for a run.
        precision: numbers to compute in; None: those of the run.
        resize: whether images of another data set are resized and recolored to those that the network takes.

    Raises ConfigError if the model cannot be read or the change is impossible.
    """
    artifact = load_model(model)
    spec = tested_spec(
        artifact.spec,
        plugins,
        dataset=dataset,
        protocol=protocol or {},
        options=options or {},
        device=device,
        precision=precision,
    )
    with isolated(spec):
        loaded = load_dataset(spec, plugins, folders)
        tested = build_model(artifact, model, spec, plugins, resized_for(artifact, loaded) if resize else loaded)
        return score_model(tested, spec.protocol, options or {})


@dataclass(frozen=True)
class BuiltModel:
    """A trained model with all that is built to test it on one data set, under any number of protocols."""

    artifact: ModelArtifact
    experiment: Experiment
    trained: State
    initial: State
    """of the untrained network"""


def build_model(artifact: ModelArtifact, path: Path, spec: RunSpec, plugins: Plugins, dataset: Dataset) -> BuiltModel:
    """Build what tests a model on a loaded data set.

    Args:
        artifact: the model.
        path: where it was read, for messages.
        spec: of the test, from ``tested_spec``.
        plugins: the loaded plugins.
        dataset: that of the spec.

    Raises ConfigError if the model does not fit.
    """
    experiment = build_experiment(spec, plugins, dataset, training=False, model=artifact.trained_on)
    initial = clone(experiment.algorithm.state())
    _refuse_other_examples(artifact, spec, experiment)
    refuse_foreign_state(artifact.state, initial, path)
    return BuiltModel(artifact, experiment, artifact.state_for(spec), initial)


def score_model(model: BuiltModel, protocol: Protocol, options: Mapping[str, Any]) -> Evaluation:
    """Test a model under a protocol with the ways and the episode seed of the one that it was built for.

    Args:
        model: what was built.
        protocol: the conditions.
        options: what was changed of the algorithm or, with the prefix ``dataset.``, of the data set.

    Raises ConfigError if the data set has too few classes or images for it.
    """
    keep_memory()
    experiment = model.experiment.under_protocol(protocol)
    initial = model.initial if experiment.learns else None
    trained, untrained = score_test(
        experiment, protocol, Meter(experiment.device), trained=model.trained, untrained=initial
    )
    changed = {name: value for name, value in options.items() if not name.startswith("dataset.")}
    test = experiment.dataset.splits["test"]
    return make_evaluation(experiment, "test", protocol, trained, untrained).model_copy(
        update={
            "algorithm_options": changed,
            "dataset": None if experiment.spec.dataset == model.artifact.spec.dataset else experiment.spec.dataset,
            "resized_from": list(test.images.shape[1:]) if isinstance(test, ResizedSplit) else None,
        }
    )


def resized_for(artifact: ModelArtifact, dataset: Dataset) -> Dataset:
    """The data set with images of the size and channels that the model was trained on, if those are known."""
    if isinstance(artifact.trained_on, str):
        return dataset
    return resized_dataset(dataset, artifact.trained_on.data.input_shape)


def _refuse_other_examples(artifact: ModelArtifact, spec: RunSpec, experiment: Experiment) -> None:
    """Raise ConfigError if the network does not fit the examples of another data set."""
    before, now = artifact.spec.dataset, spec.dataset
    if now != before and foreign_tensors(artifact.state, experiment.algorithm.state()):
        shape = list(experiment.dataset.splits["test"].input_shape)
        raise ConfigError(
            f"The model was trained on {before.name}, and its network does not fit examples of {now.name}, {shape}. "
            "Change their size and channels, with --resize or as with -o dataset.image_size=28 -o dataset.color=false."
        )


def tested_spec(
    spec: RunSpec,
    plugins: Plugins,
    *,
    dataset: str | None,
    protocol: Mapping[str, Any],
    options: Mapping[str, Any],
    device: str = "auto",
    precision: Precision | None = None,
) -> RunSpec:
    """The spec of a run with another data set, protocol and options. Raises ConfigError if that is impossible."""
    parts = split_options(options)
    if trained := [f"{kind}.{name}" for kind in ("backbone", "sampler") for name in parts[kind]]:
        raise ConfigError(
            f"A trained model keeps its network and sampler: {summarize_names(trained)} cannot be changed."
        )
    algorithm: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    name = dataset or spec.dataset.name
    stored = spec.dataset.options if name == spec.dataset.name else {}
    data_plugin: type[Dataset] = plugins.registry.load("dataset", name)
    kind = plugins.registry.load("dataset", spec.dataset.name).kind
    if data_plugin.kind != kind:
        raise ConfigError(f"The model was trained for {kind}, and the tasks of '{name}' are {data_plugin.kind}.")
    update = {
        "algorithm": complete_component(
            "algorithm", algorithm, spec.algorithm.name, spec.algorithm.options, parts["algorithm"]
        ),
        "dataset": complete_component("dataset", data_plugin, name, stored, parts["dataset"]),
        "protocol": _changed_protocol(spec, protocol, kind, plugins, any_ways=algorithm.any_ways),
        "device": str(resolve_device(device)),
        "precision": precision or spec.precision,
    }
    return spec.model_copy(update=update)


def _changed_protocol(
    spec: RunSpec, changes: Mapping[str, Any], kind: TaskKind, plugins: Plugins, *, any_ways: bool
) -> Protocol:
    try:
        changed = split_ranges(changes)
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    for name in ("ways", "shots"):  # one number in place of a range
        if name in changed:
            changed.setdefault(f"least_{name}", None)
    if changed.get("test_until") is not None:
        changed.setdefault("test_episodes", MOST_EPISODES_UNTIL)
    if changed.get("ways", spec.protocol.ways) != spec.protocol.ways and not any_ways:
        raise ConfigError(f"The model's head has {spec.protocol.ways} outputs: --ways cannot be changed.")
    try:
        protocol = Protocol.model_validate({**spec.protocol.model_dump(), **changed})
    except ValidationError as error:
        raise ConfigError(*explain(error, Protocol.model_fields, "the protocol")) from error
    refuse_label_noise(protocol, kind)
    refuse_sizes(protocol, kind)
    return protocol.model_copy(update={"metrics": metric_names(protocol.metrics, kind, plugins)})


def rounded(values: torch.Tensor) -> list[float]:
    """Scores of episodes ``[episodes]`` as a record has them, in six decimals."""
    return [round(float(value), 6) for value in values]
