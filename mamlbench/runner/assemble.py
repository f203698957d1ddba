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
    Direction,
    Engine,
    Model,
    Problem,
    Progress,
    TaskPool,
    TaskSampler,
    TaskSource,
    Workbench,
    ignore,
    seed_key,
    training_noise,
)
from mamlbench.engine import Choice, Remembered, choose_engine
from mamlbench.errors import ConfigError
from mamlbench.kernels import kernels_in_use
from mamlbench.plugin import Plugins
from mamlbench.plugin.code import plugin_code
from mamlbench.record import DataFacts, code_hash, cpu_name
from mamlbench.runner.data import open_source, places_of
from mamlbench.runner.device import device_name
from mamlbench.runner.plan import validated_options
from mamlbench.runner.workload import TrainingWork, noise_key
from mamlbench.spec import Folders, RunSpec


@dataclass
class Experiment:
    """The parts of one run."""

    spec: RunSpec
    source: TaskSource
    sampler: TaskSampler
    algorithm: Algorithm
    choice: Choice
    problem: Problem
    facts: DataFacts
    device: torch.device

    def draw(self, iteration: int) -> Any:
        """What iteration number ``iteration`` trains on: an EpisodeBatch, or labelled Examples."""
        training = self.spec.training
        if self.algorithm.feeds_on == "examples":
            return self.sampler.labelled("train", iteration, training.meta_batch)
        return self.sampler.episodes(
            "train", iteration * training.meta_batch, training.meta_batch,
            shots=training.shots, queries=training.queries,
        )  # fmt: skip

    def direction(self, iteration: int, batch: Any) -> Direction:
        """The algorithm's direction for what iteration number ``iteration`` trains on, with that iteration's noise."""
        with training_noise(noise_key(self.spec, iteration)):
            return self.algorithm.direction(batch)


def load_source(spec: RunSpec, plugins: Plugins, folders: Folders, progress: Progress = ignore) -> TaskSource:
    """Load the data set of a spec, and tell ``progress`` where it must be prepared first.

    Raises DataError where it is missing or damaged.
    """
    return open_source(spec.dataset.name, spec.dataset.options, plugins, places_of(folders, progress))


def assemble(
    spec: RunSpec,
    plugins: Plugins,
    source: TaskSource,
    cache: Path | None = None,
    *,
    training: bool = True,
    tell: Callable[[str], object] = str,
) -> Experiment:
    """Build everything that a spec names. Raises ConfigError where parts do not fit each other.

    Args:
        spec: the run.
        plugins: where its names come from.
        source: its data set, loaded.
        cache: where choices of engines are remembered, if they are.
        training: whether the run is to train, so that the choice of the engine looks at training.
        tell: called with the name of each engine before it is tried.
    """
    device = torch.device(spec.device)
    pools = {name: pool.to(device) for name, pool in source.splits.items()}
    sampler = _sampler(spec, plugins, pools)
    _check_protocol(spec, sampler)
    problem = source.problem(spec.protocol.ways)
    make = algorithm_maker(spec, plugins, source, pools)
    plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    work = TrainingWork(spec, plugin, make, sampler, training=training)
    remembered = None if cache is None else Remembered(cache / "engines", _speed_facts(spec, device, plugins))
    choice = choose_engine(spec.engine, work, remembered, tell)
    return Experiment(spec, source, sampler, make(choice.engine), choice, problem, _facts(source), device)


def algorithm_maker(
    spec: RunSpec, plugins: Plugins, source: TaskSource, pools: Mapping[str, TaskPool]
) -> Callable[..., Algorithm]:
    """How the algorithm of a spec is built, in its initial state and on the spec's device, given an engine.

    The function takes the engine, and ``double=True`` for a network in float64.
    """
    device = torch.device(spec.device)
    backbone_type: type[Backbone] = plugins.registry.load("backbone", spec.backbone.name)
    backbone = backbone_type(validated_options("backbone", backbone_type, spec.backbone.name, spec.backbone.options))
    input_shape = pools["train"].input_shape

    plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    options = validated_options("algorithm", plugin, spec.algorithm.name, spec.algorithm.options)

    def make(engine: Engine, *, double: bool = False) -> Algorithm:
        def build(outputs: int) -> Model:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(seed_key("network", spec.seed)) % 2**63)
                network = backbone.build(input_shape, outputs)
            return Model(network.to(device, torch.float64 if double else None))

        bench = Workbench(
            build=build,
            problem=source.problem(spec.protocol.ways),
            pooled_problem=pools["train"].problem,
            engine=engine,
            iterations=spec.training.iterations,
            shots=spec.training.shots,
        )
        return plugin(bench, options)

    return make


def _sampler(spec: RunSpec, plugins: Plugins, pools: dict[str, TaskPool]) -> TaskSampler:
    plugin: type[TaskSampler] = plugins.registry.load("sampler", spec.sampler.name)
    options = validated_options("sampler", plugin, spec.sampler.name, spec.sampler.options)
    return plugin(
        pools, spec.protocol.ways, episode_seed=spec.protocol.episode_seed, training_seed=spec.seed, options=options
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
        "training": spec.training.model_dump(mode="json", include={"meta_batch", "shots", "queries"}),
    }


def _facts(source: TaskSource) -> DataFacts:
    return DataFacts(
        content_hash=source.content_hash,
        split_hashes={name: pool.hash for name, pool in source.splits.items()},
        split_sizes={name: pool.size for name, pool in source.splits.items()},
        licence=source.info.licence,
        publishable=source.info.publishable,
        subset=source.subset,
        origin=source.origin,
    )
