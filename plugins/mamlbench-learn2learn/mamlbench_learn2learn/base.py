"""Base of learn2learn's methods under mamlbench: one task after the other, on modules with autograd."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mamlbench.api import (
    AdaptedTasks,
    Algorithm,
    ConfigError,
    Examples,
    MethodContext,
    Mode,
    Parameters,
    copy_into,
    prefixed,
    unprefixed,
)


class Learn2LearnAlgorithm(Algorithm[Parameters]):
    """Runs learn2learn's code for the mathematics of a method, and mamlbench's to evaluate the result.

    Training and adaptation take one task after the other, as learn2learn does; the engine only runs the predictions
    of the adapted tasks, in the mode that the protocol sets.

    Attributes:
        network: the module that learn2learn works on; its parameters are leaves with gradients.
        meta: the same storage without gradients, by name.
    """

    def __init__(self, context: MethodContext, options: Any) -> None:
        super().__init__(context, options)
        self.model = context.build(context.objective.outputs)
        if self.model.bf16:
            raise ConfigError("learn2learn runs the network by itself, without autocast: use --precision float32.")
        if len(self.model.names) < len(list(self.model.network.parameters())):
            raise ConfigError(
                "learn2learn adapts every parameter, and the network has frozen ones: use mamlbench's maml."
            )
        self.network: nn.Module = copy.deepcopy(self.model.network).requires_grad_(True)
        self.leaves = {**dict(self.network.named_parameters()), **self.extra_leaves()}
        self.meta = Parameters({name: leaf.detach() for name, leaf in self.leaves.items()})

    def extra_leaves(self) -> dict[str, nn.Parameter]:
        """What is learned besides the network."""
        return {}

    @abstractmethod
    def adapted(self, support: Examples, key: Tensor) -> Iterator[dict[str, Tensor]]:
        """Yield the network's parameters of ONE task after 1, 2, ... test-time steps; gradients are enabled."""

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks[Parameters]]:
        yield AdaptedTasks(self, None, support)
        tasks = [self.adapted(Examples(x, y), key) for x, y, key in zip(*support, keys, strict=True)]
        for _ in range(self.options.test_steps):
            with torch.enable_grad():
                after = [next(task) for task in tasks]
            states = Parameters({name: torch.stack([one[name].detach() for one in after]) for name in after[0]})
            yield AdaptedTasks(self, states, support)

    def initial_state(self, support: Examples) -> Parameters:
        return self.meta.select(name for name, _ in self.network.named_parameters())

    def predict(self, state: Parameters, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        return self.model.predict(state, support_x, x, mode)

    def state(self) -> dict[str, Tensor]:
        return {**prefixed("meta", self.meta), **self.outer_state()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        copy_into(self.meta, unprefixed("meta", state))
        self.load_outer_state(state)

    @abstractmethod
    def outer_state(self) -> dict[str, Tensor]:
        """State of the outer step, as flat tensors."""

    @abstractmethod
    def load_outer_state(self, state: dict[str, Tensor]) -> None:
        """Restore what ``outer_state`` returned."""
