"""One setting's work as functions to call: ours with any engine, a peer's, or a plain loop's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mamlbench.api import (
    Algorithm,
    BatchNorm,
    Classification,
    EpisodeBatch,
    Examples,
    MethodContext,
    Model,
    Peer,
    PeerWork,
    tree_map,
)
from mamlbench.bench.bench_settings import Setting
from mamlbench.bench.plain import minibatches, predictions, reptile_moves
from mamlbench.engine import make_engine
from mamlbench.nn.precision import parameter_dtype
from mamlbench.plugin import Registry
from mamlbench.run_spec import Precision
from mamlbench.runner.scoring import EPISODES_AT_ONCE

INNER_LR = 0.1  # rates cost nothing; this one keeps random images from overflowing
TEXTBOOK = {"pool_order": "late"}
"""Options of backbones that compute the network as it is written in the papers."""


@dataclass(frozen=True)
class Work:
    """A setting and an algorithm, on random images: time depends on shapes alone."""

    setting: Setting
    algorithm: str
    registry: Registry
    precision: Precision = "float32"

    @cached_property
    def batch(self) -> EpisodeBatch:
        """Random episodes."""
        setting, generator = self.setting, torch.Generator().manual_seed(0)

        def examples(each: int) -> Examples:
            x = torch.rand(setting.tasks, setting.ways * each, *setting.shape, generator=generator)
            x = x.to(parameter_dtype(self.precision))
            return Examples(x, torch.arange(setting.ways).repeat_interleave(each).expand(setting.tasks, -1))

        return EpisodeBatch(examples(setting.shots), examples(setting.queries), torch.arange(setting.tasks))

    def build(self, outputs: int, **options: Any) -> Model:
        """The setting's network, the same whenever it is built."""
        plugin = self.registry.load("backbone", self.setting.backbone)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = plugin(plugin.Options(**options)).build(self.setting.shape, outputs)
        return Model(network.to(parameter_dtype(self.precision)), bf16=self.precision == "bf16")

    def ours(self, engine: str) -> Callable[[], Any]:
        """The work with an engine. A direction's ``sums`` or predictions are returned."""
        algorithm = self._algorithm(engine)
        if self.setting.work == "evaluation":
            return lambda: torch.cat([self._evaluate(algorithm, part) for part in self._parts()])
        return lambda: algorithm.compute_update(self.batch).sums

    def _algorithm(self, engine: str) -> Algorithm:
        setting, problem = self.setting, Classification(self.setting.ways)
        plugin = self.registry.load("algorithm", self.algorithm)
        known = plugin.Options.model_fields
        steps = {"train_steps": setting.steps, "test_steps": setting.steps}
        # peers adapt every parameter, so we do: the same mathematics on both sides
        wanted = {"inner_lr": INNER_LR, "adapt_norm": True, **steps, **setting.options}
        bench = MethodContext(self.build, problem, problem, make_engine(engine), 1, setting.shots)
        return plugin(bench, plugin.Options(**{name: value for name, value in wanted.items() if name in known}))  # type: ignore[no-any-return]

    def _parts(self) -> Iterator[EpisodeBatch]:
        """The episodes, as many at once as a run evaluates."""
        for first in range(0, self.setting.tasks, EPISODES_AT_ONCE):
            yield tree_map(lambda leaf, first=first: leaf[first : first + EPISODES_AT_ONCE], self.batch)

    @staticmethod
    def _evaluate(algorithm: Algorithm, batch: EpisodeBatch) -> Tensor:
        learner = algorithm.adapt(batch.support, batch.keys)
        return learner.predict(batch.query.x, "transductive")

    def plain(self) -> Callable[[], Any]:
        """The work in a plain loop over tasks. Raises NotImplementedError where there is none written."""
        loss, batch, steps = Classification(self.setting.ways).loss, self.batch, self.setting.steps
        network = textbook(self.build, self.registry, self.setting.backbone, self.setting.ways)
        if self.setting.work == "evaluation":
            return lambda: predictions(network, loss, batch, INNER_LR, steps)
        if self.algorithm == "reptile":
            algorithm = self._algorithm("loop")
            rate = algorithm.options.inner_lr
            return lambda: reptile_moves(network, loss, batch, minibatches(algorithm, batch, steps), rate)
        raise NotImplementedError("no plain loop is timed on this")

    def peers(self, peer: Peer) -> Callable[[], Any]:
        """The work by a peer; the meta-gradient is returned. Raises NotImplementedError where it has no such thing."""
        if self.setting.work != "iteration" or self.algorithm not in ("maml", "fomaml"):
            raise NotImplementedError(f"{peer.package} is not timed on this")
        problem, first_order = Classification(self.setting.ways), self.algorithm == "fomaml"
        network = textbook(self.build, self.registry, self.setting.backbone, self.setting.ways)
        work = PeerWork(network, problem.loss, self.batch, INNER_LR, self.setting.steps, first_order)
        iteration = peer.iteration(work)

        def compute() -> dict[str, Tensor | None]:
            iteration()
            return {name: value.grad for name, value in network.named_parameters()}

        return compute


def textbook(build: Callable[..., Model], registry: Registry, backbone: str, outputs: int) -> nn.Module:
    """The same network as a peer's user has it: torch's own layers and derivatives, in the order of the papers."""
    known = registry.load("backbone", backbone).Options.model_fields
    network = build(outputs, **{name: value for name, value in TEXTBOOK.items() if name in known}).network
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.large = math.inf
    return network.requires_grad_(True)
