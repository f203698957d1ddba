"""The work of one setting as functions to call: with an engine, a peer, or a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mamlbench.api import (
    Algorithm,
    Classification,
    EpisodeBatch,
    Examples,
    MethodContext,
    Model,
    Network,
    Peer,
    PeerWork,
    tree_map,
)
from mamlbench.bench.bench_settings import BenchSetting
from mamlbench.bench.plain import minibatches, predictions, reptile_updates
from mamlbench.engine import make_engine
from mamlbench.nn.precision import parameter_dtype
from mamlbench.plugin import Registry
from mamlbench.run_spec import Precision
from mamlbench.runner.scoring import EPISODES_AT_ONCE

INNER_LR = 0.1  # does not affect the time; small enough that random images do not overflow


@dataclass(frozen=True)
class Work:
    """A setting and an algorithm, on random images: the time depends only on shapes."""

    setting: BenchSetting
    algorithm: str
    registry: Registry
    precision: Precision = "float32"

    @cached_property
    def batch(self) -> EpisodeBatch:
        """Random episodes."""
        setting, generator = self.setting, torch.Generator().manual_seed(0)

        def examples(per_class: int) -> Examples:
            x = torch.rand(setting.tasks, setting.ways * per_class, *setting.shape, generator=generator)
            x = x.to(parameter_dtype(self.precision))
            return Examples(x, torch.arange(setting.ways).repeat_interleave(per_class).expand(setting.tasks, -1))

        return EpisodeBatch(examples(setting.shots), examples(setting.queries), torch.arange(setting.tasks))

    def network(self, outputs: int) -> Network:
        """Build the setting's network as its author wrote it, always with the same parameters."""
        plugin = self.registry.load("backbone", self.setting.backbone)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network: Network = plugin(plugin.Options()).build(self.setting.shape, outputs)
        return network.to(parameter_dtype(self.precision))

    def with_engine(self, engine: str) -> Callable[[], Any]:
        """Return the work with an engine; it returns the sums of an outer update, or predictions."""
        algorithm = self._algorithm(engine)
        if self.setting.work == "evaluation":
            return lambda: torch.cat([self._evaluate(algorithm, part) for part in self._parts()])
        return lambda: algorithm.compute_update(self.batch).sums

    def _algorithm(self, engine: str) -> Algorithm:
        setting, objective = self.setting, Classification(self.setting.ways)
        plugin = self.registry.load("algorithm", self.algorithm)
        valid = plugin.Options.model_fields
        steps = {"train_steps": setting.steps, "test_steps": setting.steps}
        # adapt_norm: peers adapt every parameter, and the work must be the same
        options = {"inner_lr": INNER_LR, "adapt_norm": True, **steps, **setting.options}
        chosen = make_engine(engine)

        def build(outputs: int) -> Model:
            return Model(self.network(outputs), chosen, bf16=self.precision == "bf16")

        context = MethodContext(build, objective, objective, chosen, 1, setting.shots)
        return plugin(context, plugin.Options(**{name: value for name, value in options.items() if name in valid}))  # type: ignore[no-any-return]

    def _parts(self) -> Iterator[EpisodeBatch]:
        """Yield the episodes in batches of the size that a run evaluates."""
        for first in range(0, self.setting.tasks, EPISODES_AT_ONCE):
            yield tree_map(lambda leaf, first=first: leaf[first : first + EPISODES_AT_ONCE], self.batch)

    @staticmethod
    def _evaluate(algorithm: Algorithm, batch: EpisodeBatch) -> Tensor:
        adapted = algorithm.adapt(batch.support, batch.keys)
        return adapted.predict(batch.query.x, "transductive")

    def with_plain_loop(self) -> Callable[[], Any]:
        """Return the work as a plain loop over tasks. Raises NotImplementedError if there is none for this setting."""
        loss, batch, steps = Classification(self.setting.ways).loss, self.batch, self.setting.steps
        network = self.network(self.setting.ways).requires_grad_(True)
        if self.setting.work == "evaluation":
            return lambda: predictions(network, loss, batch, INNER_LR, steps)
        if self.algorithm == "reptile":
            algorithm = self._algorithm("loop")
            inner_lr = algorithm.options.inner_lr
            return lambda: reptile_updates(network, loss, batch, minibatches(algorithm, batch, steps), inner_lr)
        raise NotImplementedError("no plain loop is timed on this")

    def with_peer(self, peer: Peer) -> Callable[[], Any]:
        """Return the work as done by a peer; it returns the meta-gradient.

        Raises NotImplementedError if peers are not timed on this setting.
        """
        if self.setting.work != "iteration" or self.algorithm not in ("maml", "fomaml"):
            raise NotImplementedError(f"{peer.package} is not timed on this")
        objective, first_order = Classification(self.setting.ways), self.algorithm == "fomaml"
        network = self.network(self.setting.ways).requires_grad_(True)
        work = PeerWork(network, objective.loss, self.batch, INNER_LR, self.setting.steps, first_order)
        iteration = peer.iteration(work)

        def compute() -> dict[str, Tensor | None]:
            iteration()
            return {name: value.grad for name, value in network.named_parameters()}

        return compute
