"""A network as a pure function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mamlbench.nn.attention import differentiable_attention, uses_attention
from mamlbench.nn.batch_norm import (
    BatchNorm,
    BatchStats,
    current_running_statistics,
    record_statistics,
    replay_statistics,
)
from mamlbench.nn.batch_norm_modes import forward_in_mode
from mamlbench.nn.dropout import StochasticLayer
from mamlbench.nn.fusion import fuse, unfused
from mamlbench.nn.network import Network, remove_side_effects
from mamlbench.nn.padding import without_padding
from mamlbench.nn.parameters import Parameters
from mamlbench.nn.precision import bf16_autocast
from mamlbench.run_spec import Mode


class EngineFlags(Protocol):
    """Attributes of ``mamlbench.api.Engine`` that choose the version of a network."""

    plain: bool
    second_order: bool


class Model:
    """``outputs = model(parameters, x)`` for one task; the engine maps it over tasks.

    Args:
        network: its layers are used; its own parameters are never changed. Those that do not require a gradient are
            frozen: they are used as they are, and stand in no ``parameters``.
        engine: the engine that runs the model and chooses plain or fused, first or second order; without one, the
            fused network for first order.
        bf16: whether convolutions and matrix products are computed in bfloat16; outputs stay in the parameters' type.

    Attributes:
        network: the network as its author wrote it.
        fusion: the network with layers replaced by faster equal ones, as the engine runs it.
        names: names of the parameters that are not frozen, in the network's order.
        norm_names: names of the batch-norm layers' parameters.
        noisy: whether a layer is random in training (``StochasticLayer``).
    """

    def __init__(self, network: Network, engine: EngineFlags | None = None, *, bf16: bool = False) -> None:
        self.bf16 = bf16
        self.network = network
        self.engine = engine
        plain = engine is not None and engine.plain
        self.fusion = unfused(network, "the engine runs networks as they are") if plain else fuse(network)
        self.names = tuple(name for name, value in network.named_parameters() if value.requires_grad)
        self.norm_names = frozenset(
            f"{prefix}.{name}"
            for prefix, module in network.named_modules()
            if isinstance(module, BatchNorm)
            for name, value in module.named_parameters(recurse=False)
            if value.requires_grad
        )
        self.has_attention = uses_attention(network)
        self.noisy = any(isinstance(module, StochasticLayer) for module in network.modules())

    def with_head(self, head: nn.Module) -> Model:
        """The same features under another head, ``[n, d]`` to ``[n, outputs]``."""
        network = Network(self.network.features, head, self.network.input_shape)
        remove_side_effects(network)
        return Model(network, self.engine, bf16=self.bf16)

    def initial_parameters(self) -> Parameters:
        """A copy of the parameters the network was built with, by name, without frozen ones."""
        values = dict(self.network.named_parameters())
        return Parameters({name: values[name].detach().clone() for name in self.names})

    def __call__(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """``[n, *input_shape]`` to ``[n, outputs]``; batch-norm layers normalize by this batch."""
        return without_padding(lambda x: self._run(self._version, dict(parameters), x), x)

    def features(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """``[n, *input_shape]`` to the features ``[n, d]``."""
        return without_padding(lambda x: self._part("features", parameters, x), x)

    def head(self, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """Features ``[n, d]`` to ``[n, outputs]``."""
        return self._part("head", parameters, features)

    def statistics(self, parameters: Mapping[str, Tensor], x: Tensor) -> BatchStats:
        """Statistics that each batch-norm layer normalizes ``x`` ``[n, *input_shape]`` by, from one pass."""
        with record_statistics() as statistics:
            self(parameters, x)
        return statistics

    def predict(self, parameters: Mapping[str, Tensor], support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        """Outputs for the query examples of one task, ``[n, *input_shape]`` to ``[n, outputs]``.

        - transductive: the query examples are normalized together, by their own batch.
        - inductive: by the statistics of the support set under these parameters; no query example sees another.
        - support+query: each query example together with the support set, one pass each.

        Args:
            parameters: those of the adapted task, by name.
            support_x: the task's support examples ``[k, *input_shape]``.
            x: query examples ``[n, *input_shape]``.
            mode: how batch norm sees them.
        """
        return forward_in_mode(mode, self, parameters, support_x, x, statistics=self.statistics)

    def query_features(self, parameters: Mapping[str, Tensor], support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        """The features that ``predict`` passes to the head: ``[n, *input_shape]`` to ``[n, d]``.

        Parameters that differ only in a head without batch norm give the same features.
        """
        return forward_in_mode(mode, self.features, parameters, support_x, x, statistics=self.statistics)

    @property
    def _version(self) -> Network:
        """The version of the network for the engine's present order of differentiation."""
        second_order = self.engine is not None and self.engine.second_order
        return self.fusion.second_order if second_order else self.fusion.first_order

    def _part(self, name: str, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        part: nn.Module = getattr(self._version, name)
        own = {key.removeprefix(f"{name}."): value for key, value in parameters.items() if key.startswith(f"{name}.")}
        return self._run(part, own, x)

    def _run(self, module: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        running = current_running_statistics()
        if running is None:
            return self._compute(module, parameters, x)
        with replay_statistics(running):
            return self._compute(module, parameters, x)

    def _compute(self, module: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        if self.has_attention:  # a part of the network, too
            with differentiable_attention():
                return self._call(module, parameters, x)
        return self._call(module, parameters, x)

    def _call(self, module: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        if not self.bf16:
            return functional_call(module, parameters, (x,))  # type: ignore[no-any-return]
        with bf16_autocast(x.device):
            outputs: Tensor = functional_call(module, parameters, (x,))
        # Losses, prototypes and task states stay in float32: a sum of many bfloat16 numbers loses most of its digits.
        return outputs.float() if outputs.dtype == torch.bfloat16 else outputs
