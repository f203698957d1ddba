"""R2-D2: Bertinetto et al., "Meta-learning with differentiable closed-form solvers", ICLR 2019 (arXiv 1805.08136)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import LogUniform, Parameters
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import SupportHead, SupportHeadOptions, one_hot


class R2D2Options(SupportHeadOptions):
    """Options of R2-D2."""

    ridge: Annotated[float, LogUniform(0.1, 100.0)] = Field(
        1.0, gt=0, description="λ of the ridge regression before training: in proportion to features"
    )
    learned_ridge: bool = Field(False, description="learn λ, as the paper describes; its code leaves it as it is")
    scale: Annotated[float, LogUniform(1.0, 100.0)] = Field(
        10.0, gt=0, description="α before training: factor on the regression's outputs as logits"
    )


class R2D2(SupportHead[R2D2Options]):
    """Learns features whose ridge regression to the classes solves a task, in closed form.

    With X the support features ``[n, e]``, with a column of ones for the bias, and Y their one-hot classes ``[n, N]``:
      Λ(Z): W = Xᵀ (X Xᵀ + λ I)⁻¹ Y                     (5), by Woodbury's identity          ``solve``
      Ŷ = α X' W + β  for the query features X'         (6), logits with learned α and β      ``solve``
      update ω, α, β (and λ) by the gradient of the cross-entropy of Ŷ on the query set       by the engine

    As in the authors' code, X and Y are divided by √n, so that λ means the same with any number of examples. It does
    not with any number of features: the paper's 50 is for thousands, the default 1 for some 64.
    """

    Options = R2D2Options
    presets = load_presets("r2d2")

    def learned(self) -> Mapping[str, Tensor]:
        """α, β and the logarithm of λ: scalars."""
        like = next(iter(self.model.initial_parameters().values()))
        values = {"learned.scale": self.options.scale, "learned.shift": 0.0}
        if self.options.learned_ridge:
            values["learned.log_ridge"] = math.log(self.options.ridge)
        return {name: like.new_tensor(value) for name, value in values.items()}

    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """(5) and (6): weight ``[N, e]`` and bias ``[N]`` of the linear head."""
        n = len(y)
        x = torch.cat([features, features.new_ones(n, 1)], 1) / math.sqrt(n)  # [n, e + 1]
        ridge = learned["learned.log_ridge"].exp() if self.options.learned_ridge else self.options.ridge
        gram = x @ x.T + ridge * torch.eye(n, dtype=x.dtype, device=x.device)
        w = x.T @ torch.linalg.solve(gram, one_hot(y, ways, x) / math.sqrt(n))  # [e + 1, N]
        scaled = learned["learned.scale"] * w
        return {"head.weight": scaled[:-1].T, "head.bias": scaled[-1] + learned["learned.shift"]}
