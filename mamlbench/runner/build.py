"""Builds what a spec names: data set, sampler, metrics, algorithm with its network, engine."""

from __future__ import annotations

import logging
import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

import torch

from mamlbench.api import (
    SPLITS,
    Algorithm,
    Backbone,
    Classification,
    Dataset,
    Engine,
    EpisodeBatch,
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
    seeded,
)
from mamlbench.engine import AutotuneCache, Choice, OnTrial, choose_engine, no_trial
from mamlbench.errors import ConfigError
from mamlbench.nn.precision import in_precision, parameter_dtype
from mamlbench.plugin import Plugins
from mamlbench.record import DataFacts, SeenTestData
from mamlbench.run_spec import Folders, Precision, Protocol, RunSpec, Training
from mamlbench.runner.choose_metrics import make_metrics
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.datasets.leaks import find_leaks, refuse_leaks
from mamlbench.runner.datasets.open_dataset import data_facts, data_paths
from mamlbench.runner.datasets.seen_test_data import TrainedOn, is_other_data, trained_on
from mamlbench.runner.draw_episodes import draw_episodes
from mamlbench.runner.engine_workload import TrainingWork, engine_for_sizes, iteration_noise_key, speed_facts
from mamlbench.runner.frozen.encoded_dataset import encoded_dataset, refuse_on_features
from mamlbench.runner.initial_model import start_from_initial_model
from mamlbench.runner.padding_check import padding_problem
from mamlbench.runner.ranks.rank_group import ALONE, Ranks
from mamlbench.runner.seen_by_network import seen_by_network
from mamlbench.runner.sized_tasks import (
    EpisodeGroup,
    SizedBatch,
    SizedPart,
    by_size,
    filled_batch,
    joined,
    of_meta_batch,
    padded_groups,
    sized,
)
from mamlbench.runner.tuning.sealed_split import SealedSplit

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed", "out of memory", "exceeds the limit")
"""What torch's errors say if a tensor does not fit into the memory, or into any."""


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
    data_facts: DataFacts
    device: torch.device
    leaks: list[str]
    """what splits of the data set share"""
    trained_on: TrainedOn | None
    """hashes of the training split; None if it does not consist of images"""
    seen: SeenTestData | None
    """whether the network was trained on test classes or images; None in regression"""
    padding_problem: str = ""
    """why tasks of several sizes are not filled up but computed by size; empty if they are, or have one size"""
    ranks: Ranks = ALONE
    """the processes that compute the run together"""

    def training_batch(self, iteration: int) -> Any:
        """Draw the batch of a meta-iteration (0: the first): an EpisodeBatch, or labeled Examples."""
        training = self.spec.training
        if self.algorithm.trains_on == "examples":
            return self._in_precision(self.sampler.labeled_examples("train", iteration, training.meta_batch_size))
        first = iteration * training.meta_batch_size
        if self.mixes_sizes:
            return self.sized_batch(range(first, first + training.meta_batch_size), training)
        return self.episodes("train", first, training.meta_batch_size, of_meta_batch(self.spec, iteration))

    @property
    def mixes_sizes(self) -> bool:
        """Whether the episodes of a meta-batch have several sizes."""
        return self.spec.training.sizes_vary and self.algorithm.additive and self.algorithm.trains_on == "episodes"

    def sized_batch(self, numbers: Sequence[int], shape: Training) -> SizedBatch:
        """Draw training episodes, each of its own size."""
        by_sizes = by_size(self.sampler, "train", shape, numbers)
        groups: Sequence[EpisodeGroup] = [[SizedPart(part, one)] for one, part in by_sizes]
        if not self.padding_problem:
            groups = padded_groups(by_sizes, len(numbers), sys.maxsize)
        batches = [[self.episodes_of("train", *part) for part in group] for group in groups]
        filled = [(group, filled_batch(group, parts)) for group, parts in zip(groups, batches, strict=True)]
        return SizedBatch(filled, sum(batch.examples for parts in batches for batch in parts))

    def episodes(self, split: str, first: int, count: int, shape: Training | Protocol) -> EpisodeBatch:
        """Draw the episodes ``first`` to ``first + count - 1`` with the ways, shots and queries of ``shape``."""
        episodes = draw_episodes(self.sampler, split, first, count, shape)
        return EpisodeBatch(*self._in_precision(episodes))

    @property
    def learns(self) -> bool:
        """Whether there is an untrained network to compare with: not if weights from a file are tested as they are."""
        return self.spec.training.iterations > 0 or not self.spec.weights_sha256

    def under_protocol(self, protocol: Protocol) -> Experiment:
        """The same parts under another protocol for the test, of as many ways and the same episode seed.

        Raises ConfigError if the data set has too few classes or examples.
        """
        spec = self.spec.model_copy(update={"protocol": protocol})
        if spec.protocol != self.spec.protocol:
            _check_protocol(spec, self.sampler, SPLITS[1:])
        same = protocol.size_text == self.spec.protocol.size_text
        problem = self.padding_problem if same else "its episodes of these sizes were not checked"
        return replace(self, spec=spec, padding_problem=problem)

    def _in_precision(self, examples: Any) -> Any:
        """Cast examples, which are float32 by contract: to look at each tensor again would cost part of every batch."""
        return in_precision(examples, "float64") if self.spec.precision == "float64" else examples

    def compute_update(self, iteration: int, batch: Any) -> OuterUpdate:
        """Compute the update of a meta-iteration from its batch, with the dropout masks of that iteration."""
        with noise_key_scope(iteration_noise_key(self.spec, iteration)):
            if isinstance(batch, SizedBatch):
                return self._sum_of_updates(batch)
            with self.sized([of_meta_batch(self.spec, iteration)]):
                return self.algorithm.compute_update(batch)

    def _sum_of_updates(self, batch: SizedBatch) -> OuterUpdate:
        updates = []
        for group, episodes in batch.groups:
            with self.sized([part.shape for part in group]):
                updates.append(self.algorithm.compute_update(episodes))
        return reduce(operator.add, updates)

    def episodes_of(self, split: str, numbers: Sequence[int], shape: Training | Protocol) -> EpisodeBatch:
        """Draw the episodes of these numbers, of one size."""
        if isinstance(numbers, range):
            return self.episodes(split, numbers.start, len(numbers), shape)
        return joined([self.episodes(split, number, 1, shape) for number in numbers])

    def sized(self, shapes: Sequence[Training | Protocol]) -> AbstractContextManager[None]:
        """Let the method see tasks of these sizes, if the run has several."""
        if not (self.spec.protocol.sizes_vary or self.spec.training.sizes_vary):
            return nullcontext()
        return sized(self.algorithm, shapes)


def load_dataset(
    spec: RunSpec,
    plugins: Plugins,
    folders: Folders,
    progress: ProgressCallback = no_progress,
    *,
    training: bool = False,
) -> Dataset:
    """Load the data set of a spec, in features if its network is frozen; ``progress`` is called if that takes a while.

    Raises DataError if it is missing or damaged; and, for a run that trains and allows no leak, before an image is
    decoded, if the names of its files show that splits share classes.
    """
    plugin: type[Dataset] = plugins.registry.load("dataset", spec.dataset.name)
    if training:
        refuse_shared_classes(spec, plugins, folders)
    dataset = plugin(stored_options("dataset", plugin, spec.dataset), data_paths(folders, progress))
    for note in dataset.notes:
        logging.getLogger("mamlbench").warning("%s: %s.", spec.dataset.name, note)
    return encoded_dataset(dataset, spec, plugins, folders.cache, progress)


def refuse_shared_classes(spec: RunSpec, plugins: Plugins, folders: Folders) -> None:
    """Raise DataError if the names of files show that splits share classes, unless the spec allows leaks."""
    if not spec.training.allow_leak:
        plugin: type[Dataset] = plugins.registry.load("dataset", spec.dataset.name)
        plugin.refuse_shared_classes(stored_options("dataset", plugin, spec.dataset), data_paths(folders))


def build_experiment(
    spec: RunSpec,
    plugins: Plugins,
    dataset: Dataset,
    cache: Path | None = None,
    *,
    training: bool = True,
    on_trial: OnTrial = no_trial,
    engine: str | None = None,
    model: TrainedOn | str | None = None,
) -> Experiment:
    """Build everything that a spec names.

    Raises ConfigError if its parts do not fit each other, DataError if it is to be trained on splits that share classes
    or images and does not allow it.

    Args:
        spec: the run.
        plugins: the loaded plugins.
        dataset: its data set, loaded.
        cache: folder of cached choices of engines; None: no cache.
        training: whether the run trains, so that the engine is chosen for training.
        on_trial: called with the name of each engine before it is tried, and the estimated seconds of all trials.
        engine: name of the engine; None: as the spec says.
        model: what a model was trained on that is to be tested, or why that is unknown; None: the training split.
    """
    own = trained_on(dataset, spec.dataset.name)
    leaks = [] if is_other_data(model, own) else find_leaks(dataset)
    if training and not spec.training.allow_leak:
        refuse_leaks(leaks, spec.dataset.name)
    device = torch.device(spec.device)
    splits = {name: split.to(device) for name, split in dataset.splits.items()}
    sampler = _sampler(spec, plugins, splits)
    _check_protocol(spec, sampler, SPLITS if training else SPLITS[1:])
    objective = dataset.objective(spec.protocol.ways)
    metrics = make_metrics(spec.protocol.metrics or objective.metrics, dataset.kind, plugins)
    input_shape = splits["train"].network_shape
    _check_precision(spec, model_builder(spec, plugins, input_shape), input_shape, objective.outputs)
    make = algorithm_maker(spec, plugins, dataset, splits, model.data.outputs if isinstance(model, TrainedOn) else None)
    plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    work = TrainingWork(spec, plugin, make, sampler, training=training)
    autotune_cache = None if cache is None else AutotuneCache(cache / "engines", speed_facts(spec, device, plugins))
    name = engine or engine_for_sizes(spec, plugin, work) or spec.engine
    choice = choose_engine(name, work, autotune_cache, on_trial)
    logging.getLogger(__name__).info("Engine %s: %s.", choice.engine.name, choice.reason)
    algorithm = make(choice.engine)
    start_from_initial_model(algorithm, spec)
    _check_own_models(spec, algorithm)
    refuse_on_features(dataset, spec, algorithm)
    facts = data_facts(dataset)
    seen = None
    if dataset.kind not in ("regression", "reinforcement") and not isinstance(dataset.splits["test"], SealedSplit):
        trained = model or own or "the training data are no images"
        seen = seen_by_network(spec, plugins, dataset.splits["test"], spec.dataset.name, trained)
    padding = padding_problem(spec, make, choice.engine, sampler, training=training)
    return Experiment(
        spec, dataset, sampler, algorithm, choice, objective, metrics, facts, device, leaks, own, seen, padding
    )


def algorithm_maker(
    spec: RunSpec,
    plugins: Plugins,
    dataset: Dataset,
    splits: Mapping[str, TaskSplit],
    pooled_classes: int | None = None,
) -> Callable[..., Algorithm]:
    """Return a function that builds the algorithm of a spec, in its initial state and on the spec's device.

    The function takes the engine, and ``precision`` if it is to be another than the spec's. ``pooled_classes`` is the
    number of training classes if a model was trained on another data set.
    """
    train = splits["train"]
    pooled = train.objective if pooled_classes is None else Classification(pooled_classes)
    return method_maker(spec, plugins, train.network_shape, dataset.objective(spec.protocol.ways), pooled)


def method_maker(
    spec: RunSpec, plugins: Plugins, input_shape: tuple[int, ...], objective: Objective, pooled_objective: Objective
) -> Callable[..., Algorithm]:
    """Return what ``algorithm_maker`` returns, without a data set: from one example's shape and the two objectives."""
    plugin: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
    options = stored_options("algorithm", plugin, spec.algorithm)
    build_model = model_builder(spec, plugins, input_shape)

    def make(engine: Engine, *, precision: Precision = spec.precision) -> Algorithm:
        context = MethodContext(
            build=partial(build_model, engine=engine, precision=precision),
            objective=objective,
            pooled_objective=pooled_objective,
            engine=engine,
            iterations=spec.training.iterations,
            shots=spec.training.shots,
            seed=spec.seed,
        )
        return plugin(context, options)

    return make


def model_builder(spec: RunSpec, plugins: Plugins, input_shape: tuple[int, ...]) -> Callable[..., Model]:
    """Return a function that builds the network of a spec, initialized from its seed, on its device.

    The function takes the number of outputs, the engine that is to compute with it, and ``precision`` if it is to be
    another than the spec's.
    """
    backbone_type: type[Backbone] = plugins.registry.load("backbone", spec.backbone.name)
    backbone = backbone_type(stored_options("backbone", backbone_type, spec.backbone))

    def build(outputs: int, *, engine: Engine | None = None, precision: Precision = spec.precision) -> Model:
        with seeded("network", spec.seed), _memory_errors_explained(spec):
            network = backbone.build(input_shape, outputs)
        # initialized in float32 and then cast: every precision starts from the same network
        network = network.to(torch.device(spec.device), parameter_dtype(precision))
        return Model(network, engine, bf16=precision == "bf16")

    return build


@contextmanager
def _memory_errors_explained(spec: RunSpec) -> Iterator[None]:
    """Raise ConfigError if the network is too large for this machine, or for any."""
    try:
        yield
    except (MemoryError, OverflowError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, RuntimeError) and not any(words in reason for words in TOO_LARGE):
            raise
        options = ", ".join(f"{name}={value}" for name, value in spec.backbone.options.items())
        raise ConfigError(
            f"The network '{spec.backbone.name}' ({options}) is too large for this machine: choose a smaller one."
        ) from error


def _check_precision(spec: RunSpec, build: Callable[[int], Model], input_shape: tuple[int, ...], outputs: int) -> None:
    """Run the network once. Raises ConfigError if it cannot be run or differentiated in the spec's precision."""
    if spec.precision == "float32":
        return
    model = build(outputs)
    parameters = model.initial_parameters()
    first = next(iter(parameters.values()))
    failures: list[RuntimeError] = []
    for x in (first.new_zeros(2, *input_shape), torch.zeros(2, *input_shape, dtype=torch.int64, device=first.device)):
        try:
            torch.func.grad(lambda parameters, x=x: model(parameters, x).square().sum())(parameters)
            return
        except RuntimeError as error:  # the next attempt is with token ids
            failures.append(error)
    reason = str(failures[0]).strip().splitlines()[0].rstrip(".")
    raise ConfigError(
        f"Backbone '{spec.backbone.name}' cannot be run in {spec.precision}: {reason}. Use --precision float32."
    ) from failures[0]


def _check_own_models(spec: RunSpec, algorithm: Algorithm) -> None:
    """Check every model of the algorithm. Raises ConfigError if one ignores bf16."""
    models = [value for value in vars(algorithm).values() if isinstance(value, Model)]
    if spec.precision == "bf16" and not all(model.bf16 for model in models):
        raise ConfigError(
            f"Algorithm '{spec.algorithm.name}' has a model of its own in float32: it must be made with "
            "model.with_head(head) or Model(network, model.engine, bf16=model.bf16). Use --precision float32."
        )


def _sampler(spec: RunSpec, plugins: Plugins, splits: dict[str, TaskSplit]) -> TaskSampler:
    plugin: type[TaskSampler] = plugins.registry.load("sampler", spec.sampler.name)
    options = stored_options("sampler", plugin, spec.sampler)
    return plugin(
        splits, spec.protocol.ways, episode_seed=spec.protocol.episode_seed, training_seed=spec.seed, options=options
    )


def _check_protocol(spec: RunSpec, sampler: TaskSampler, names: Sequence[str]) -> None:
    """Draw one episode of these splits, so that an impossible protocol is an error before anything is trained."""
    problems = []
    for split in names:
        if isinstance(sampler.splits[split], SealedSplit):
            continue
        shape = spec.training if split == "train" else spec.protocol
        try:
            draw_episodes(sampler, split, 0, 1, shape)
        except ConfigError as error:
            problems += [f"{spec.dataset.name}, {split} split: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(*problems)
