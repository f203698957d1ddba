"""Meta-Curvature: Park & Oliva, "Meta-Curvature", NeurIPS 2019 (arXiv 1902.03356), section 3."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mamlbench.api import Examples, GradientBased, Parameters, grad
from mamlbench_plugins.algorithms.loss_reduction import query_loss, support_loss
from mamlbench_plugins.algorithms.maml import MAMLOptions
from mamlbench_plugins.algorithms.presets import load_presets


class MetaCurvatureState(NamedTuple):
    """One task: its parameters and the curvature they are adapted with."""

    theta: Parameters
    curvature: Parameters  # M_o, M_i and M_f of each adapted tensor


class MetaCurvature(GradientBased[MetaCurvatureState, MAMLOptions]):
    """MAML whose inner gradients are transformed by learned matrices, one for each dimension of a tensor.

    For the gradient G of a convolution ``[out, in, k*k]`` (of a linear layer ``[out, in]``, of a bias ``[out]``):
      MC(G) = G ×₃ M_f ×₂ M_i ×₁ M_o                    ``transform``; a bias has a factor for each element
      θ' = θ − α MC(∇L(support))                        ``step``
      update θ and the matrices by ∇L(query) at θ'      ``loss``, differentiated by the engine

    All matrices start as identities, so that training starts as MAML does.
    """

    Options = MAMLOptions
    presets = load_presets("meta_curvature")
    gradient_order = 2

    @property
    def adapted(self) -> list[str]:
        """What the inner loop changes."""
        frozen = frozenset() if self.options.adapt_norm else self.model.norm_names
        return [name for name in self.model.names if name not in frozen]

    def initial_meta(self) -> Parameters:
        """θ as built, and the identities."""
        theta = self.model.initial_parameters()
        meta = theta
        for name in self.adapted:
            meta |= {f"{part}.{name}": value for part, value in identities(theta[name]).items()}
        return meta

    def init(self, meta: Parameters, support: Examples) -> MetaCurvatureState:
        """Every task starts at θ."""
        theta = meta.select(self.model.names)
        return MetaCurvatureState(theta, meta.select(name for name in meta if name not in theta))

    def step(self, state: MetaCurvatureState, support: Examples) -> MetaCurvatureState:
        """θ' = θ − α MC(∇L(support))."""
        theta = state.theta.select(self.adapted)
        gradient: Parameters = grad(lambda theta: self.inner_loss(state._replace(theta=state.theta | theta), support))(
            theta
        )
        moved = {name: transform(g, state.curvature, name) for name, g in gradient.items()}
        return state._replace(theta=state.theta | (theta - self.options.inner_lr * Parameters(moved)))

    def inner_loss(self, state: MetaCurvatureState, support: Examples) -> Tensor:
        """L(support): a scalar."""
        return support_loss(self, self.model(state.theta, support.x), support.y)

    def loss(self, state: MetaCurvatureState, query: Examples) -> Tensor:
        """L(query): a scalar."""
        return query_loss(self, self.model(state.theta, query.x), query.y)

    def parameters(self, state: MetaCurvatureState) -> Parameters:
        return state.theta


def identities(value: Tensor) -> dict[str, Tensor]:
    """M_o ``[out, out]``, M_i ``[in, in]`` and M_f ``[k*k, k*k]`` of a tensor ``[out, in, ...]``; of a bias, ones."""
    if value.ndim == 1:
        return {"out": torch.ones_like(value)}
    sizes = {"out": value.shape[0], "in": value.shape[1], "filter": value[0, 0].numel()}
    if value.ndim == 2:
        del sizes["filter"]
    return {part: torch.eye(size, dtype=value.dtype, device=value.device) for part, size in sizes.items()}


def transform(gradient: Tensor, curvature: Parameters, name: str) -> Tensor:
    """MC: the gradient of the tensor called ``name``, multiplied along each dimension; in its own shape."""
    if gradient.ndim == 1:
        return curvature[f"out.{name}"] * gradient
    flat = gradient.flatten(2) if gradient.ndim > 2 else gradient[..., None]  # [out, in, k*k]
    product = torch.einsum("ao,bi,oif->abf", curvature[f"out.{name}"], curvature[f"in.{name}"], flat)
    filters = curvature.get(f"filter.{name}")
    return (product if filters is None else product @ filters.T).view_as(gradient)
