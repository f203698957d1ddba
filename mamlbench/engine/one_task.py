"""Outer loss and meta-gradient of ONE task: the mathematics that every strategy maps over tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor
from torch.func import grad_and_value, vjp
from torch.utils import _pytree as pytree

from mamlbench.api import Examples, MetaLearned, Parameters, forward_over_reverse, remember_gradients

Differentiation = Literal["stored", "recomputed"]
"""How a gradient through the inner loop is computed: the usual graph of all steps, or one step's graph at a time."""

TaskGradient = Callable[[MetaLearned, Parameters, Examples, Examples, int], tuple[Parameters, Tensor]]


def task_gradient(method: MetaLearned, differentiation: Differentiation) -> TaskGradient:
    """The function of ``(method, meta, support, query, steps)`` that gives one task's meta-gradient and outer loss."""
    if method.gradient_order == 1:
        return first_order_gradient
    return stored_gradient if differentiation == "stored" else recomputed_gradient


def inner_loop(method: MetaLearned, state: Any, support: Examples, steps: int) -> Any:
    """The state after ``steps`` inner steps."""
    for _ in range(steps):
        state = method.step(state, support)
    return state


def outer_loss(method: MetaLearned, meta: Parameters, support: Examples, query: Examples, steps: int) -> Tensor:
    """The outer loss as a function of the meta-parameters, through the whole inner loop."""
    return method.loss(inner_loop(method, method.init(meta, support), support, steps), query)


def stored_gradient(
    method: MetaLearned, meta: Parameters, support: Examples, query: Examples, steps: int
) -> tuple[Parameters, Tensor]:
    """Gradient of the outer loss by reverse mode over the graph of the whole inner loop, and that loss."""
    return grad_and_value(lambda meta: outer_loss(method, meta, support, query, steps))(meta)


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


def recomputed_gradient(
    method: MetaLearned, meta: Parameters, support: Examples, query: Examples, steps: int
) -> tuple[Parameters, Tensor]:
    """Gradient of the outer loss through the whole inner loop, and that loss, with one step's graph at a time.

    The inner loop is run without a graph; only its states and inner gradients are kept. Then the gradient is carried
    backwards step by step, each step's Hessian-vector product being evaluated from what was kept: a second-order
    gradient for little more than the memory of a first-order one.
    """

    def init(meta: Parameters) -> tuple[list[Tensor], Any]:
        state = method.init(meta, support)
        return _floats(state), state

    _, pull_back, *start = vjp(init, meta, has_aux=True)
    (state,) = start
    trajectory = []
    for _ in range(steps):
        with remember_gradients() as known:
            following = method.step(state, support)
        trajectory.append((state, known))
        state = following
    slope, loss = grad_and_value(lambda floats: method.loss(_with_floats(state, floats), query))(_floats(state))
    while trajectory:
        state, known = trajectory.pop()
        with forward_over_reverse(known):
            _, pull_step, *_ = vjp(
                lambda floats, state=state: _floats(method.step(_with_floats(state, floats), support)), _floats(state)
            )
            (slope,) = pull_step(slope)
    return pull_back(slope)[0], loss


def _floats(state: Any) -> list[Tensor]:
    """What of a state can be differentiated; a step counter, say, cannot."""
    return [leaf for leaf in pytree.tree_leaves(state) if leaf.is_floating_point()]


def _with_floats(state: Any, floats: list[Tensor]) -> Any:
    """The state with these in place of its differentiable tensors."""
    rest = iter(floats)
    return pytree.tree_map(lambda leaf: next(rest) if leaf.is_floating_point() else leaf, state)
