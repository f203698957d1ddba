"""Outer loss and meta-gradient of ONE task: the mathematics that every strategy maps over tasks."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.func import grad_and_value, vjp

from mamlbench.api import Examples, MetaLearned, Parameters


def inner_loop(method: MetaLearned, state: Any, support: Examples, steps: int) -> Any:
    """The state after ``steps`` inner steps."""
    for _ in range(steps):
        state = method.step(state, support)
    return state


def outer_loss(method: MetaLearned, meta: Parameters, support: Examples, query: Examples, steps: int) -> Tensor:
    """The outer loss as a function of the meta-parameters, through the whole inner loop."""
    return method.loss(inner_loop(method, method.init(meta, support), support, steps), query)


def first_order_gradient(
    method: MetaLearned, meta: Parameters, support: Examples, query: Examples, steps: int
) -> tuple[Parameters, Tensor]:
    """Gradient of the query loss at the adapted state, pulled back through ``init`` alone, and that loss.

    No graph of the inner loop exists at any time.
    """
    state, pull_back, *_ = vjp(lambda meta: method.init(meta, support), meta)
    state = inner_loop(method, state, support, steps)
    gradient, loss = grad_and_value(method.loss)(state, query)
    return pull_back(gradient)[0], loss
