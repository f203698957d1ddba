"""CAVIA: Zintgraf et al., "Fast Context Adaptation via Meta-Learning", ICML 2019 (arXiv 1810.03642), section 3."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import (
    BatchNorm,
    Examples,
    GradientBased,
    IntRange,
    LogUniform,
    OuterOptions,
    Parameters,
    grad,
    seeded,
)
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.presets import load_presets

NORM_LAYER = 3
"""The batch-norm layer that the context enters at, counted from 1; the last one of a network with fewer."""


class CAVIAOptions(OuterOptions):
    """Options of CAVIA."""

    context_size: int = Field(5, ge=1, description="number of context parameters φ")
    inner_lr: Annotated[float, LogUniform(0.1, 100.0)] = Field(
        1.0, gt=0, description="inner learning rate α of the context parameters"
    )
    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: Annotated[int, IntRange(1, 10)] = Field(1, ge=0, description="inner steps in validation and test")


class CAVIAState(NamedTuple):
    """One task."""

    context: Parameters  # φ, of one tensor [context_size]
    shared: Parameters  # θ and the weights that the context enters by


class CAVIA(GradientBased[CAVIAState, CAVIAOptions]):
    """Adapts a few context parameters φ, which are inputs of the network, and leaves the network as it is.

    Algorithm 1:
      φ_0 = 0                                                   ``init``
      φ_i = φ_0 − α ∇φ L(support; φ_0, θ)      (4)              ``step``
      θ ← θ − β ∇θ Σ L(query; φ_i, θ)          (5)              ``loss``, differentiated by the engine

    φ enters at one layer (section 3.3). Of a fully connected network without batch norm it is the first, whose inputs
    it is appended to: the same as adding W φ to its bias, as here. Of a convolutional one it is the third batch norm,
    whose scale it multiplies by 1 + W_γ φ and whose bias it adds W_β φ to (FiLM); a scale that is missing stays 1.
    """

    Options = CAVIAOptions
    presets = load_presets("cavia")
    gradient_order = 2

    def initial_meta(self) -> Parameters:
        """θ as built, and W for what φ enters by, drawn as torch draws a linear layer's weights."""
        theta, size, meta = self.model.initial_parameters(), self.options.context_size, Parameters()
        with seeded("cavia", self.context.seed):
            for name in self.entries:
                weight = torch.empty(*theta[name].shape, size).uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size))
                meta |= {f"context.{name}": weight.to(theta[name])}
        return theta | meta

    @property
    def entries(self) -> list[str]:
        """The parameters of the network that φ changes: of a batch norm its scale and bias, else the first bias."""
        modules = list(self.model.network.features.named_modules(prefix="features"))
        norms = [name for name, module in modules if isinstance(module, BatchNorm)]
        layers = norms[:NORM_LAYER][-1:] or [name for name, module in modules if isinstance(module, nn.Linear)][:1]
        entries = [name for name in self.model.names if layers and name in (f"{layers[0]}.weight", f"{layers[0]}.bias")]
        entries = [name for name in entries if norms or name.endswith(".bias")]
        if not entries:
            raise ConfigError(
                "CAVIA needs a batch norm, or a first linear layer with a bias: the context enters there."
            )
        return entries

    def init(self, meta: Parameters, support: Examples) -> CAVIAState:
        """φ_0 = 0."""
        like = next(iter(meta.values()))
        return CAVIAState(Parameters({"phi": like.new_zeros(self.options.context_size)}), meta)

    def step(self, state: CAVIAState, support: Examples) -> CAVIAState:
        """(4): φ ← φ − α ∇φ L(support)."""
        gradient = grad(lambda phi: self.loss(state._replace(context=phi), support))(state.context)
        return state._replace(context=state.context - self.options.inner_lr * gradient)

    def loss(self, state: CAVIAState, query: Examples) -> Tensor:
        """L of either set: a scalar."""
        return self.objective.loss(self.model(self.parameters(state), query.x), query.y)

    def parameters(self, state: CAVIAState) -> Parameters:
        """θ, with φ where it enters."""
        theta, changed = state.shared.select(self.model.names), {}
        for name in self.entries:
            shift = state.shared[f"context.{name}"] @ state.context["phi"]  # W φ, in the shape of the parameter
            changed[name] = theta[name] * (1 + shift) if name.endswith(".weight") else theta[name] + shift
        return theta | changed
