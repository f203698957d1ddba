"""An algorithm under test, built as the harness builds it, on the tiny task."""

from __future__ import annotations

from typing import Any

import torch

from mamlbench.api import (
    Algorithm,
    Classification,
    Engine,
    EpisodeBatch,
    Examples,
    MethodContext,
    Model,
    Options,
    TaskSampler,
    tree_map,
)
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.run_spec import Setting, choose_preset
from mamlbench.testing.checks import NotApplicable
from mamlbench.testing.tiny import QUERIES, SHAPE, SHOTS, WAYS, TinyNetwork, tiny_splits

TASKS = 4
ITERATIONS = 10


class AlgorithmSubject:
    """Makes instances and batches of an algorithm, in float64 so that small differences are visible.

    Args:
        plugin: the class under test.
        **options: options that differ from their defaults.
    """

    def __init__(self, plugin: type[Algorithm], **options: Any) -> None:
        self.plugin = plugin
        self.changed_options = options

    @property
    def engine(self) -> Engine:
        """The engine that most checks run on."""
        return VmapEngine() if self.plugin.vectorized else LoopEngine()

    def build(
        self,
        engine: Engine | None = None,
        *,
        norm: bool = True,
        dtype: torch.dtype = torch.float64,
        bf16: bool = False,
        iterations: int = ITERATIONS,
        quick: bool = False,
        ways: int = WAYS,
        seed: int = 0,
    ) -> Algorithm:
        """Build a new instance, with the same seed always from the same initial network.

        Args:
            engine: the engine; by default a vectorized one if the class declares that it can be vectorized.
            norm: whether the network has batch norm.
            dtype: dtype of the network, and so of everything that the algorithm computes.
            bf16: whether the network computes in bfloat16 by autocast; requires a float32 network.
            iterations: planned meta-iterations.
            quick: whether to use the options of the method's 'quick' preset for options without a value.
            ways: classes of a test episode.
            seed: the run's training seed.

        Raises NotApplicable if the algorithm does not learn classification.
        """
        if "classification" not in self.plugin.kinds:
            raise NotApplicable(f"learns {' and '.join(self.plugin.kinds)} alone, and the tiny task is classification")
        engine = engine or self.engine
        backbone = TinyNetwork(TinyNetwork.Options(norm=norm))

        def build(outputs: int) -> Model:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return Model(backbone.build(SHAPE, outputs).to(dtype), engine, bf16=bf16)

        context = MethodContext(
            build=build,
            objective=Classification(ways),
            pooled_objective=tiny_splits()["train"].objective,
            engine=engine,
            iterations=iterations,
            shots=SHOTS,
            seed=seed,
        )
        return self.plugin(context, self.options(quick=quick))

    def with_options(self, **options: Any) -> AlgorithmSubject:
        """Return a subject with these options changed too."""
        return AlgorithmSubject(self.plugin, **{**self.changed_options, **options})

    def options(self, *, quick: bool = False) -> Options:
        """Return the options under test."""
        preset = choose_preset(self.plugin.presets, "quick", Setting("tiny", WAYS, SHOTS)) if quick else None
        return self.plugin.Options.model_validate({**(preset.options if preset else {}), **self.changed_options})

    def sampler(self) -> TaskSampler:
        """Make a sampler of the tiny task."""
        return TaskSampler(tiny_splits(), WAYS, episode_seed=0, training_seed=0, options=Options())

    def episodes(self, split: str = "test", first: int = 0, count: int = TASKS, ways: int = WAYS) -> EpisodeBatch:
        """Return ``count`` episodes from index ``first``, in float64: support x ``[count, 2 * ways, 1, 8, 8]``."""
        batch = self.sampler().episodes(split, first, count, ways=ways, shots=SHOTS, queries=QUERIES)
        return EpisodeBatch(*as_float64(batch))

    def training_batch(self, algorithm: Algorithm, number: int = 0, size: int = TASKS) -> Any:
        """Return a training batch in float64: an EpisodeBatch or labeled Examples, as the algorithm requires."""
        if algorithm.trains_on == "examples":
            return as_float64(self.sampler().labeled_examples("train", number, WAYS * SHOTS * size))
        return self.episodes("train", number * size, size)

    def trained(self, algorithm: Algorithm, steps: int = 3) -> Algorithm:
        """Train the algorithm for a few steps and return it."""
        for number in range(steps):
            algorithm.apply(algorithm.compute_update(self.training_batch(algorithm, number)))
        return algorithm


def as_float64(batch: Any) -> Any:
    """Convert every float tensor of a pytree to float64."""
    return tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, batch)


def half(batch: Any, which: int) -> Any:
    """Return the first (0) or second (1) half of a batch."""
    if isinstance(batch, Examples):
        return tree_map(lambda leaf: leaf.chunk(2)[which], batch)
    return EpisodeBatch(*(tree_map(lambda leaf: leaf.chunk(2)[which], part) for part in batch))
