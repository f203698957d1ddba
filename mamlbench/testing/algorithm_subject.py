"""An algorithm under test: built as the harness builds it, on the tiny task."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import (
    Algorithm,
    Classification,
    Engine,
    EpisodeBatch,
    Examples,
    Model,
    Options,
    Parameters,
    TaskSampler,
    Workbench,
    tree_map,
)
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.spec import Setting, choose_preset
from mamlbench.testing.tiny import QUERIES, SHAPE, SHOTS, WAYS, TinyNetwork, tiny_pools

TASKS = 4
ITERATIONS = 10


class AlgorithmSubject:
    """Makes instances and batches, in float64 so that small differences count.

    Args:
        plugin: the class under test.
        **given: options that differ from their defaults.
    """

    def __init__(self, plugin: type[Algorithm], **given: Any) -> None:
        self.plugin = plugin
        self.given = given

    @property
    def engine(self) -> Engine:
        """The engine that most checks run on."""
        return VmapEngine() if self.plugin.vectorised else LoopEngine()

    def build(
        self,
        engine: Engine | None = None,
        *,
        norm: bool = True,
        dtype: torch.dtype = torch.float64,
        iterations: int = ITERATIONS,
        quick: bool = False,
    ) -> Algorithm:
        """A new instance, always from the same initial network.

        Args:
            engine: the engine; by default a vectorised one, if the class says that it can be vectorised.
            norm: whether the network has batch norm.
            dtype: of the network, and so of everything that the algorithm makes.
            iterations: planned meta-iterations.
            quick: whether the options of the method's 'quick' preset hold where none are given.
        """
        backbone = TinyNetwork(TinyNetwork.Options(norm=norm))

        def build(outputs: int) -> Model:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return Model(backbone.build(SHAPE, outputs).to(dtype))

        bench = Workbench(
            build=build,
            problem=Classification(WAYS),
            pooled_problem=tiny_pools()["train"].problem,
            engine=engine or self.engine,
            iterations=iterations,
            shots=SHOTS,
        )
        return self.plugin(bench, self.options(quick=quick))

    def options(self, *, quick: bool = False) -> Options:
        """The options that are tested."""
        preset = choose_preset(self.plugin.presets, "quick", Setting("tiny", WAYS, SHOTS)) if quick else None
        return self.plugin.Options.model_validate({**(preset.options if preset else {}), **self.given})

    def sampler(self) -> TaskSampler:
        """Fresh episodes of the tiny task."""
        return TaskSampler(tiny_pools(), WAYS, episode_seed=0, training_seed=0, options=Options())

    def episodes(self, split: str = "test", first: int = 0, count: int = TASKS) -> EpisodeBatch:
        """Episodes in float64."""
        batch = self.sampler().episodes(split, first, count, shots=SHOTS, queries=QUERIES)
        return as_float64(batch)

    def training_batch(self, algorithm: Algorithm, number: int = 0, size: int = TASKS) -> Any:
        """What the algorithm trains on, in float64: an EpisodeBatch or labelled Examples."""
        if algorithm.feeds_on == "examples":
            return as_float64(self.sampler().labelled("train", number, WAYS * SHOTS * size))
        return self.episodes("train", number * size, size)

    def trained(self, algorithm: Algorithm, steps: int = 3) -> Algorithm:
        """The algorithm after a few steps of training."""
        for number in range(steps):
            algorithm.apply(algorithm.direction(self.training_batch(algorithm, number)))
        return algorithm


def as_float64(batch: Any) -> Any:
    """Every float tensor of a pytree as float64."""
    return tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, batch)


def half(batch: Any, which: int) -> Any:
    """The first (0) or the second (1) half of a batch."""
    if isinstance(batch, Examples):
        return tree_map(lambda leaf: leaf.chunk(2)[which], batch)
    return EpisodeBatch(*(tree_map(lambda leaf: leaf.chunk(2)[which], part) for part in batch))


def snapshot(tensors: Parameters) -> Parameters:
    """A copy that nothing changes."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def changed(before: Parameters, after: Parameters) -> list[str]:
    """Names whose tensors are not equal bit for bit, or that only one side has."""
    return [
        name for name in sorted({*before, *after})
        if name not in before or name not in after or not same(before[name], after[name])
    ]  # fmt: skip


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal bit for bit; NaN equals itself."""
    return one.shape == other.shape and one.dtype == other.dtype and bool(torch.equal(one.nan_to_num(), other.nan_to_num()))


def distance(one: Tensor, other: Tensor) -> float:
    """Greatest difference, relative to the greatest value (or 1)."""
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).abs().max() / max(1.0, float(other.abs().max())))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Set every global random state, of which no plugin may take notice, and put it back."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
