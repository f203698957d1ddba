"""The multi-class support vector machine of Crammer & Singer 2001, as a differentiable function of a kernel matrix.

MetaOptNet (Lee et al. 2019), equation 10, with α as C Y − β, so that each row of β lies in a simplex:

    minimize over β   1/2 tr((C Y − β)ᵀ K (C Y − β)) + Σ Y ∘ β    such that β ≥ 0 and each row of β sums to C

It is solved by a primal-dual interior-point method. The derivative is that of the optimality conditions (the paper's
section 3.2): one last Newton step on them is differentiated. At a solution the step is zero, and so is what would come
through its matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

CENTERING = 0.1
"""Part of the complementarity that a step aims at."""
BACK_OFF = 0.99
"""Part of the way to the border of β ≥ 0, z ≥ 0 that a step may go."""


class Point(NamedTuple):
    """An interior point: the variables and multipliers of the optimality conditions."""

    beta: Tensor  # [N, n]
    z: Tensor  # [N, n], of β ≥ 0
    nu: Tensor  # [n], of the sums


def solve_svm(kernel: Tensor, y: Tensor, cost: float, steps: int) -> Tensor:
    """The dual variables α, ``[n, N]``: a task's weight vectors are αᵀ X. Differentiable by ``kernel``, once.

    Args:
        kernel: symmetric and positive definite, ``[n, n]``.
        y: one-hot classes, ``[n, N]``.
        cost: C, the penalty of a violated margin.
        steps: interior-point steps, a fixed number; ten reach six digits.
    """
    labels = y.T  # [N, n]
    point = Point(torch.full_like(labels, cost / len(labels)), torch.ones_like(labels), torch.zeros_like(labels[0]))
    for _ in range(steps):
        point = _interior_step(kernel.detach(), labels, cost, point)
    target = (point.beta * point.z).mean()
    beta, _, _ = _newton(kernel, labels, cost, point, target)  # differentiated; the point itself is a constant
    return (cost * labels - point.beta - beta).T


def _interior_step(kernel: Tensor, labels: Tensor, cost: float, point: Point) -> Point:
    """One step towards the solution that stays inside the borders."""
    change = _newton(kernel, labels, cost, point, CENTERING * (point.beta * point.z).mean())
    length = torch.minimum(_longest(point.beta, change.beta), _longest(point.z, change.z))
    return Point(*(value + length * step for value, step in zip(point, change, strict=True)))


def _newton(kernel: Tensor, labels: Tensor, cost: float, point: Point, target: Tensor) -> Point:
    """The Newton step on the optimality conditions with β ∘ z = ``target``.

    K β − C K Y + Y − ν − z = 0 for each class, and Σ β = C for each example. Eliminating z leaves one symmetric matrix
    for each class, and one system for ν.
    """
    beta, z, nu = point
    gradient = (beta - cost * labels) @ kernel + labels - nu  # [N, n], what z has to be
    residual = target / beta - gradient  # [N, n]
    inverse = torch.linalg.inv(kernel + torch.diag_embed(z / beta))  # [N, n, n]
    alone = (inverse @ residual[..., None])[..., 0]  # [N, n], the step without the constraint on the sums
    missing = cost - beta.sum(0) - alone.sum(0)  # [n]
    nu_step = torch.linalg.solve(inverse.sum(0), missing)
    beta_step = alone + inverse @ nu_step
    return Point(beta_step, target / beta - z - z / beta * beta_step, nu_step)


def _longest(value: Tensor, step: Tensor) -> Tensor:
    """The longest step up to 1 after which ``value`` is still positive: a scalar ``[]``."""
    ratio = torch.where(step < 0, -value / step, torch.ones_like(value) / BACK_OFF)
    return (BACK_OFF * ratio.amin()).clamp(max=1)
