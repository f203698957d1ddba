"""Logistic regression on fixed features, solved to its optimum by Newton's method for all tasks together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from mamlbench.api import Examples, Parameters
from mamlbench_plugins.algorithms.linear_probe import LinearProbe, LinearProbeOptions
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import one_hot

LENGTHS = (1.0, 0.5, 0.25, 0.125, 0.0)
"""Of a step, in Newton's: the best of them is taken, so that no step makes the objective worse."""
JITTER = 1e-6
"""Added to the diagonal of the Hessian; it moves no optimum."""


class LogisticOptions(LinearProbeOptions):
    """Options of logistic regression: those of the linear probe, with fewer and better steps."""

    test_steps: int = Field(8, ge=0, description="steps of Newton's method in validation and test")


class LogisticState(NamedTuple):
    """One task."""

    head: Parameters


class Logistic(LinearProbe):
    """The problem of the linear probe (Tian et al. 2020, section 3), solved as exactly as numbers allow.

    Minimize  mean cross-entropy(F Wᵀ + b, y) + 1/(2 C n) ‖W‖²  over W ``[N, d]`` and b, with normalized features F:
      Fᵀ = Q R              an optimal W lies in the span of the examples: W = V Qᵀ with V ``[N, min(n, d)]``
      D = −H⁻¹ G            Newton's direction for (V, b), of N (min(n, d) + 1) numbers    ``step``
      (V, b) ← (V, b) + t D with the best t of ``LENGTHS``
    Adding a number to all classes changes no prediction: H has 11ᵀ / N added in that direction, where G is zero.

    It is what scikit-learn's LogisticRegression(C) solves by L-BFGS.
    """

    Options = LogisticOptions
    presets = load_presets("logistic")

    def init(self, meta: Parameters, support: Examples) -> LogisticState:  # type: ignore[override]
        """A head of zeros, for the classes of the task."""
        return LogisticState(self.new_head.map(lambda value: value[: self.objective.outputs]))

    def step(self, state: LogisticState, support: Examples) -> LogisticState:  # type: ignore[override]
        """One step of Newton's on the features ``[n, d]`` of the support set, which stand in place of x."""
        features, n = normalize(support.x), len(support.y)
        penalty = 1 / (self.options.inverse_penalty * n)
        basis, triangle = torch.linalg.qr(features.T)  # [d, r], [r, n]
        inputs = torch.cat([triangle.T, features.new_ones(n, 1)], 1)  # [n, r + 1]
        weight, bias = state.head["head.weight"], state.head["head.bias"]
        start = torch.cat([weight @ basis, bias[:, None]], 1)  # [N, r + 1]
        direction = newton_direction(inputs, support.y, start, penalty)
        candidates = start + start.new_tensor(LENGTHS)[:, None, None] * direction  # [5, N, r + 1]
        logits = inputs @ candidates.mT  # [5, n, N]
        losses = cross_entropy(logits.flatten(0, 1), support.y.repeat(len(LENGTHS)), reduction="none")
        totals = losses.view(len(LENGTHS), n).mean(1) + penalty / 2 * candidates[..., :-1].square().sum((1, 2))
        best = candidates[totals.argmin()[None]][0]
        return LogisticState(Parameters({"head.weight": best[:, :-1] @ basis.T, "head.bias": best[:, -1]}))


def newton_direction(inputs: Tensor, y: Tensor, at: Tensor, penalty: float) -> Tensor:
    """Newton's direction ``[N, e]`` for the penalized mean cross-entropy of inputs ``[n, e]`` with classes ``[n]``.

    ``at`` ``[N, e]`` is where it begins. The last input is that of the bias, which is not penalized.
    """
    (ways, e), n = at.shape, len(y)
    p = (inputs @ at.T).softmax(1)  # [n, N]
    penalized = torch.cat([inputs.new_full((e - 1,), penalty), inputs.new_zeros(1)])  # [e]
    gradient = (p - one_hot(y, ways, p)).T @ inputs / n + penalized * at  # [N, e]
    curvature = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / n  # [n, N, N]
    hessian = torch.einsum("nkl,ni,nj->kilj", curvature, inputs, inputs)  # [N, e, N, e]
    classes, diagonal = torch.eye(ways, device=p.device, dtype=p.dtype), torch.diag(penalized + JITTER)
    hessian = hessian + classes[:, None, :, None] * diagonal[None, :, None, :]
    same = torch.eye(e, device=p.device, dtype=p.dtype) / ways
    hessian = (hessian + same[None, :, None, :]).reshape(ways * e, ways * e)
    direction: Tensor = torch.linalg.solve(hessian, -gradient.reshape(-1))
    return direction.view(ways, e)
