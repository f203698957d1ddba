"""One setting's work as functions to call: ours with any engine, or a peer's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mamlbench.api import Algorithm, Classification, EpisodeBatch, Examples, Model, Peer, PeerWork, Workbench
from mamlbench.bench.settings import Setting
from mamlbench.engine import make_engine
from mamlbench.plugin import Registry

INNER_LR = 0.1  # rates cost nothing; this one keeps random pictures from overflowing


@dataclass(frozen=True)
class Work:
    """A setting and an algorithm, on random pictures: time depends on shapes alone."""

    setting: Setting
    algorithm: str
    registry: Registry

    @cached_property
    def batch(self) -> EpisodeBatch:
        """Random episodes."""
        setting, generator = self.setting, torch.Generator().manual_seed(0)

        def examples(each: int) -> Examples:
            x = torch.rand(setting.tasks, setting.ways * each, *setting.shape, generator=generator)
            return Examples(x, torch.arange(setting.ways).repeat_interleave(each).expand(setting.tasks, -1))

        return EpisodeBatch(examples(setting.shots), examples(setting.queries), torch.arange(setting.tasks))

    def build(self, outputs: int) -> Model:
        """The setting's network, the same whenever it is built."""
        plugin = self.registry.load("backbone", self.setting.backbone)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Model(plugin(plugin.Options()).build(self.setting.shape, outputs))

    def ours(self, engine: str) -> Callable[[], Any]:
        """The work with an engine. A direction's ``sums`` or predictions are returned."""
        algorithm = self._algorithm(engine)
        if self.setting.work == "evaluation":
            return lambda: self._evaluate(algorithm)
        return lambda: algorithm.direction(self.batch).sums

    def _algorithm(self, engine: str) -> Algorithm:
        setting, problem = self.setting, Classification(self.setting.ways)
        plugin = self.registry.load("algorithm", self.algorithm)
        known = plugin.Options.model_fields
        steps = {"train_steps": setting.steps, "test_steps": setting.steps}
        # peers adapt every parameter, so we do: the same mathematics on both sides
        wanted = {"inner_lr": INNER_LR, "adapt_norm": True, **steps, **setting.options}
        bench = Workbench(self.build, problem, problem, make_engine(engine), 1, setting.shots)
        return plugin(bench, plugin.Options(**{name: value for name, value in wanted.items() if name in known}))  # type: ignore[no-any-return]

    def _evaluate(self, algorithm: Algorithm) -> Tensor:
        learner = algorithm.adapt(self.batch.support, self.batch.keys)
        return learner.predict(self.batch.query.x, "transductive")

    def peers(self, peer: Peer) -> Callable[[], Any]:
        """The work by a peer; the meta-gradient is returned. Raises NotImplementedError where it has no such thing."""
        if self.setting.work != "iteration" or self.algorithm not in ("maml", "fomaml"):
            raise NotImplementedError(f"{peer.package} is not timed on this")
        problem, first_order = Classification(self.setting.ways), self.algorithm == "fomaml"
        network = self.build(self.setting.ways).network.requires_grad_(True)
        work = PeerWork(network, problem.loss, self.batch, INNER_LR, self.setting.steps, first_order)
        iteration = peer.iteration(work)

        def compute() -> dict[str, Tensor | None]:
            iteration()
            return {name: value.grad for name, value in network.named_parameters()}

        return compute
