"""Outer loss and meta-gradient of ONE task: the mathematics that every strategy maps over tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.api import (
    Examples,
    MetaLearned,
    Parameters,
    forward_over_reverse,
    grad_and_value,
    pull_back,
    remember_gradients,
)

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
    meta = dict(meta)  # not the method's own: one that sees its own may leave out what no gradient is wanted for
    state = inner_loop(method, method.init(meta, support), support, steps)
    gradient, loss = grad_and_value(method.loss)(state, query)
    return pull_back(lambda meta: method.init(meta, support), meta, gradient), loss


def recomputed_gradient(
    method: MetaLearned, meta: Parameters, support: Examples, query: Examples, steps: int
) -> tuple[Parameters, Tensor]:
    """Gradient of the outer loss through the whole inner loop, and that loss, with one step's graph at a time.

    The inner loop is run without a graph; only its states and inner gradients are kept. Then the gradient is carried
    backwards step by step, each step's Hessian-vector product being evaluated from what was kept: a second-order
    gradient for little more than the memory of a first-order one.
    """
    meta = dict(meta)  # as above
    state = method.init(meta, support)
    trajectory = []
    for _ in range(steps):
        with remember_gradients() as known:
            after = method.step(state, support)
        trajectory.append((state, known))
        state = after
    slope, loss = grad_and_value(lambda floats: method.loss(_with_floats(state, floats), query))(_floats(state))
    while trajectory:
        state, known = trajectory.pop()

        def following(floats: list[Tensor], state: Any = state) -> list[Tensor]:
            return _floats(method.step(_with_floats(state, floats), support))

        with forward_over_reverse(known):
            slope = pull_back(following, _floats(state), slope)
    return pull_back(lambda meta: _floats(method.init(meta, support)), meta, slope), loss


def _floats(state: Any) -> list[Tensor]:
    """What of a state can be differentiated; a step counter, say, cannot."""
    return [leaf for leaf in pytree.tree_leaves(state) if leaf.is_floating_point()]


def _with_floats(state: Any, floats: list[Tensor]) -> Any:
    """The state with these in place of its differentiable tensors."""
    rest = iter(floats)
    return pytree.tree_map(lambda leaf: next(rest) if leaf.is_floating_point() else leaf, state)
