"""MetaOptNet: Lee et al., "Meta-Learning with Differentiable Convex Optimization", CVPR 2019 (arXiv 1904.03758)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import LogUniform, Parameters
from mamlbench_plugins.algorithms.multiclass_svm import solve_svm
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import SupportHead, SupportHeadOptions, one_hot


class MetaOptNetOptions(SupportHeadOptions):
    """Options of MetaOptNet."""

    learner: Literal["svm", "ridge"] = Field("svm", description="what the head is: a multi-class SVM, ridge regression")
    cost: Annotated[float, LogUniform(0.01, 10.0)] = Field(0.1, gt=0, description="C of the SVM")
    ridge: float = Field(50.0, gt=0, description="λ of the ridge regression")
    solver_steps: int = Field(10, ge=1, description="interior-point steps of the SVM's solver, a fixed number")
    smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing ε of the outer loss")


class MetaOptNet(SupportHead[MetaOptNetOptions]):
    """Learns features under a linear classifier that a convex problem gives, differentiated through its optimum.

    θ = A(D_train; φ), with α the dual variables of each support example and class:
      SVM:    α = argmax −1/2 Σ_k ‖w_k(α)‖² + Σ_n α_n^{y_n},   α_n^{y_n} ≤ C, other α ≤ 0, Σ_k α_n^k = 0     (10)
      ridge:  α = argmax −1/2 Σ_k ‖w_k(α)‖² − λ/2 Σ_k ‖α^k‖² + Σ_n α_n^{y_n} = (K + λ I)⁻¹ Y                  (11)
      w_k = Σ_n α_n^k fφ(x_n)                                                                                (9)
      L_meta = −γ w_y·fφ(x) + log Σ_k exp(γ w_k·fφ(x)),   the scale γ learned                                (12)

    As in the authors' code, 1 is added to the diagonal of the SVM's kernel matrix. Its ridge regression has 2 α, which
    doubles γ.
    """

    Options = MetaOptNetOptions
    presets = load_presets("metaoptnet")

    def learned(self) -> Mapping[str, Tensor]:
        """γ, a scalar."""
        return {"learned.scale": next(iter(self.model.initial_parameters().values())).new_ones(())}

    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """(9) to (11): weight ``[N, d]`` of the head, with γ in it; its bias is zero."""
        kernel, labels = features @ features.T, one_hot(y, ways, features)
        identity = torch.eye(len(y), dtype=kernel.dtype, device=kernel.device)
        if self.options.learner == "ridge":
            alpha = torch.linalg.solve(kernel + self.options.ridge * identity, labels)
        else:
            alpha = solve_svm(kernel + identity, labels, self.options.cost, self.options.solver_steps)
        weight = learned["learned.scale"] * alpha.T @ features
        return {"head.weight": weight, "head.bias": torch.zeros_like(weight[:, 0])}

    def outer_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(12), with smoothed labels: ε is shared by the other classes."""
        log_p = outputs.log_softmax(-1)
        target = one_hot(y, outputs.shape[-1], log_p)
        rest = (1 - target) * self.options.smoothing / (outputs.shape[-1] - 1)
        return -((target * (1 - self.options.smoothing) + rest) * log_p).sum(-1).mean()
