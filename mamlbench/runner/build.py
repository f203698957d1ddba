"""From a spec to the living parts: data, sampler, network, algorithm, engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mamlbench.api import (
    Algorithm,
    Backbone,
    Dataset,
    Engine,
    MethodContext,
    Metric,
    Model,
    Objective,
    OuterUpdate,
    ProgressCallback,
    TaskSampler,
    TaskSplit,
    no_progress,
    noise_key_scope,
    seed_key,
)
from mamlbench.engine import AutotuneCache, Choice, choose_engine
from mamlbench.errors import ConfigError
from mamlbench.nn.kernels import kernels_in_use
from mamlbench.plugin import Plugins
from mamlbench.plugin.source_hash import plugin_code
from mamlbench.record import DataFacts, code_hash, cpu_name
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.choose_metrics import make_metrics
from mamlbench.runner.datasets.open_dataset import data_paths, open_dataset
from mamlbench.runner.device import device_name
from mamlbench.runner.engine_workload import TrainingWork, iteration_noise_key
from mamlbench.runner.plan import validated_options


@dataclass
class Experiment:
    """The parts of one run."""

    spec: RunSpec
    dataset: Dataset
    sampler: TaskSampler
    algorithm: Algorithm
    choice: Choice
    objective: Objective
    metrics: tuple[Metric, ...]
    """what is reported; the first one selects the checkpoint"""
    facts: DataFacts
    device: torch.device

    def draw(self, iteration: int) -> Any:
        """What iteration number ``iteration`` trains on: an EpisodeBatch, or labeled Examples."""
        training = self.spec.training
        if self.algorithm.trains_on == "examples":
            return self.sampler.labeled_examples("train", iteration, training.meta_batch_size)
        return self.sampler.episodes(
            "train",
            iteration * training.meta_batch_size,
            training.meta_batch_size,
            shots=training.shots,
            queries=training.queries,
        )

    def compute_update(self, iteration: int, batch: Any) -> OuterUpdate:
        """The algorithm's direction for what iteration number ``iteration`` trains on, with that iteration's noise."""
        with noise_key_scope(iteration_noise_key(self.spec, iteration)):
            return self.algorithm.compute_update(batch)


def load_dataset(
    spec: RunSpec, plugins: Plugins, folders: Folders, progress: ProgressCallback = no_progress
) -> Dataset:
    """Load the data set of a spec, and tell ``progress`` where it must be prepared first.

    Raises DataError where it is missing or damaged.
    """
    return open_dataset(spec.dataset.name, spec.dataset.options, plugins, data_paths(folders, progress))


def build_experiment(
    spec: RunSpec,
    plugins: Plugins,
    dataset: Dataset,
    cache: Path | None = None,
    *,
    training: bool = True,
    tell: Callable[[str], object] = str,
) -> Experiment:
    """Build everything that a spec names. Raises ConfigError where parts do not fit each other.

    Args:
        spec: the run.
        plugins: where its names come from.
        dataset: its data set, loaded.
        cache: where choices of engines are remembered, if they are.
        training: whether the run is to train, so that the choice of the engine looks at training.
        tell: called with the name of each engine before it is tried.
    """
    device = torch.device(spec.device)
    splits = {name: split.to(device) for name, split in dataset.splits.items()}
    sampler = _sampler(spec, plugins, splits)
    _check_protocol(spec, sampler)
    objective = dataset.objective(spec.protocol.ways)
    metrics = make_metrics(spec.protocol.metrics or objective.metrics, dataset.kind, plugins)
    make = algorithm_maker(spec, plugins, dataset, splits)
    plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    work = TrainingWork(spec, plugin, make, sampler, training=training)
    remembered = None if cache is None else AutotuneCache(cache / "engines", _speed_facts(spec, device, plugins))
    choice = choose_engine(spec.engine, work, remembered, tell)
    algorithm = make(choice.engine)
    return Experiment(spec, dataset, sampler, algorithm, choice, objective, metrics, _facts(dataset), device)


def algorithm_maker(
    spec: RunSpec, plugins: Plugins, dataset: Dataset, splits: Mapping[str, TaskSplit]
) -> Callable[..., Algorithm]:
    """How the algorithm of a spec is built, in its initial state and on the spec's device, given an engine.

    The function takes the engine, and ``double=True`` for a network in float64.
    """
    device = torch.device(spec.device)
    backbone_type: type[Backbone] = plugins.registry.load("backbone", spec.backbone.name)
    backbone = backbone_type(validated_options("backbone", backbone_type, spec.backbone.name, spec.backbone.options))
    input_shape = splits["train"].input_shape

    plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    options = validated_options("algorithm", plugin, spec.algorithm.name, spec.algorithm.options)

    def make(engine: Engine, *, double: bool = False) -> Algorithm:
        def build(outputs: int) -> Model:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(seed_key("network", spec.seed)) % 2**63)
                network = backbone.build(input_shape, outputs)
            return Model(network.to(device, torch.float64 if double else None))

        bench = MethodContext(
            build=build,
            objective=dataset.objective(spec.protocol.ways),
            pooled_objective=splits["train"].objective,
            engine=engine,
            iterations=spec.training.iterations,
            shots=spec.training.shots,
        )
        return plugin(bench, options)

    return make


def _sampler(spec: RunSpec, plugins: Plugins, splits: dict[str, TaskSplit]) -> TaskSampler:
    plugin: type[TaskSampler] = plugins.registry.load("sampler", spec.sampler.name)
    options = validated_options("sampler", plugin, spec.sampler.name, spec.sampler.options)
    return plugin(
        splits, spec.protocol.ways, episode_seed=spec.protocol.episode_seed, training_seed=spec.seed, options=options
    )


def _check_protocol(spec: RunSpec, sampler: TaskSampler) -> None:
    """Draw one episode of each split, so that an impossible protocol is told before anything is trained."""
    problems = []
    asked = {
        "train": (spec.training.shots, spec.training.queries),
        "val": (spec.protocol.shots, spec.protocol.queries),
        "test": (spec.protocol.shots, spec.protocol.queries),
    }
    for split, (shots, queries) in asked.items():
        try:
            sampler.episodes(split, 0, 1, shots=shots, queries=queries)
        except ConfigError as error:
            problems += [f"{spec.dataset.name}, {split} split: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(*problems)


def _speed_facts(spec: RunSpec, device: torch.device, plugins: Plugins) -> dict[str, Any]:
    """What decides which engine is fastest: machine, software, network, algorithm and shapes, not the weights."""
    return {
        "cpu": cpu_name(),
        "device": device_name(device) or "cpu",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "kernels": kernels_in_use(),
        "code": code_hash(plugin_code(plugins)),
        "algorithm": spec.algorithm.model_dump(mode="json"),
        "backbone": spec.backbone.model_dump(mode="json"),
        "dataset": spec.dataset.model_dump(mode="json"),
        "ways": spec.protocol.ways,
        "training": spec.training.model_dump(mode="json", include={"meta_batch_size", "shots", "queries"}),
    }


def _facts(dataset: Dataset) -> DataFacts:
    return DataFacts(
        content_hash=dataset.content_hash,
        split_hashes={name: split.hash for name, split in dataset.splits.items()},
        split_sizes={name: split.size for name, split in dataset.splits.items()},
        license=dataset.info.license,
        publishable=dataset.info.publishable,
        subset=dataset.subset,
        origin=dataset.origin,
    )
