"""From a spec to the living parts: data, sampler, network, algorithm, engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mamlbench.api import (
    Algorithm,
    Backbone,
    DataPlaces,
    Engine,
    Model,
    Problem,
    TaskPool,
    TaskSampler,
    TaskSource,
    Workbench,
    seed_key,
)
from mamlbench.engine import choose_engine
from mamlbench.errors import ConfigError
from mamlbench.plugin import Plugins
from mamlbench.record import DataFacts
from mamlbench.runner.plan import validated_options
from mamlbench.spec import Folders, RunSpec


@dataclass
class Experiment:
    """The parts of one run."""

    spec: RunSpec
    source: TaskSource
    sampler: TaskSampler
    algorithm: Algorithm
    engine: Engine
    engine_reason: str
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


def load_source(spec: RunSpec, plugins: Plugins, folders: Folders) -> TaskSource:
    """Load the data set of a spec. Raises DataError where it is missing or damaged."""
    plugin: type[TaskSource] = plugins.registry.load("dataset", spec.dataset.name)
    options = validated_options("dataset", plugin, spec.dataset.name, spec.dataset.options)
    return plugin(options, DataPlaces(folders=folders.data, cache=folders.cache))


def assemble(spec: RunSpec, plugins: Plugins, source: TaskSource) -> Experiment:
    """Build everything that a spec names. Raises ConfigError where parts do not fit each other."""
    device = torch.device(spec.device)
    pools = {name: pool.to(device) for name, pool in source.splits.items()}
    sampler = _sampler(spec, plugins, pools)
    _check_protocol(spec, sampler)
    problem = source.problem(spec.protocol.ways)
    backbone_type: type[Backbone] = plugins.registry.load("backbone", spec.backbone.name)
    backbone = backbone_type(validated_options("backbone", backbone_type, spec.backbone.name, spec.backbone.options))
    input_shape = pools["train"].input_shape

    def build(outputs: int) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed_key("network", spec.seed)) % 2**63)
            return Model(backbone.build(input_shape, outputs).to(device))

    def make(engine: Engine) -> Algorithm:
        plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
        options = validated_options("algorithm", plugin, spec.algorithm.name, spec.algorithm.options)
        bench = Workbench(
            build=build,
            problem=problem,
            pooled_problem=pools["train"].problem,
            engine=engine,
            iterations=spec.training.iterations,
            shots=spec.training.shots,
        )
        return plugin(bench, options)

    engine, reason = choose_engine(spec.engine, lambda engine: _probe(make(engine), sampler, spec))
    return Experiment(spec, source, sampler, make(engine), engine, reason, problem, _facts(source), device)


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


def _probe(algorithm: Algorithm, sampler: TaskSampler, spec: RunSpec) -> None:
    """Run each kind of work once on two tasks."""
    training, protocol = spec.training, spec.protocol
    if algorithm.feeds_on == "episodes":
        algorithm.direction(sampler.episodes("train", 0, 2, shots=training.shots, queries=training.queries))
    episodes = sampler.episodes("val", 0, 2, shots=protocol.shots, queries=protocol.queries)
    for number, learner in enumerate(algorithm.adaptation(episodes.support, episodes.keys)):
        if number < 3:
            for mode in protocol.modes:
                learner.predict(episodes.query.x, mode)
        else:
            break


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
