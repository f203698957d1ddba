"""Outer loss and meta-gradient of one task, which every engine maps over its tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.api import Examples, InnerLoopMethod, Parameters, grad_and_value, vjp

Differentiation = Literal["stored", "remat"]
"""How a gradient through the inner loop is computed: the usual graph of all steps, or one step's graph at a time."""

TaskMap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Turns a function of one task into one of all tasks in its arguments: ``torch.func.vmap``, or ``single_task``."""


def single_task(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: the arguments hold one task."""
    return function


class MetaGradient(Protocol):
    """Gradient of the outer loss with respect to the meta-parameters, and that loss, both summed over the tasks."""

    def __call__(
        self,
        method: InnerLoopMethod,
        meta: Parameters,
        support: Examples,
        query: Examples,
        steps: int,
        *,
        over_tasks: TaskMap = single_task,
    ) -> tuple[Parameters, Tensor]:
        """``meta`` is closed over, never mapped: the first inner step has the same weights for all tasks."""


def meta_gradient(method: InnerLoopMethod, differentiation: Differentiation) -> MetaGradient:
    """Choose the function that computes the method's gradient."""
    if method.gradient_order == 1:
        return first_order_gradient
    return stored_gradient if differentiation == "stored" else remat_gradient


def stored_gradient(
    method: InnerLoopMethod,
    meta: Parameters,
    support: Examples,
    query: Examples,
    steps: int,
    *,
    over_tasks: TaskMap = single_task,
) -> tuple[Parameters, Tensor]:
    """Meta-gradient by reverse mode over the graph of the whole inner loop."""

    def outer_loss(meta: Parameters) -> Tensor:
        def of_task(support: Examples, query: Examples) -> Tensor:
            return method.loss(_adapted(method, meta, support, steps), query)

        losses: Tensor = over_tasks(of_task)(support, query)  # [T], or [] of one
        return losses.sum()  # differentiated as one scalar, so that no gradient per task is stored

    return grad_and_value(outer_loss)(meta)


def first_order_gradient(
    method: InnerLoopMethod,
    meta: Parameters,
    support: Examples,
    query: Examples,
    steps: int,
    *,
    over_tasks: TaskMap = single_task,
) -> tuple[Parameters, Tensor]:
    """First-order meta-gradient: that of the query losses at the adapted states, pulled back through ``init`` alone.

    No graph of the inner loop is built.
    """
    states = over_tasks(lambda support: _adapted(method, meta, support, steps))(support)
    by_state, loss = grad_and_value(lambda states: over_tasks(method.loss)(states, query).sum())(states)
    return vjp(lambda meta: over_tasks(lambda support: method.init(meta, support))(support), meta, by_state), loss


def remat_gradient(
    method: InnerLoopMethod,
    meta: Parameters,
    support: Examples,
    query: Examples,
    steps: int,
    *,
    over_tasks: TaskMap = single_task,
) -> tuple[Parameters, Tensor]:
    """Meta-gradient through the whole inner loop, with the graph of one step at a time.

    The inner loop runs without a graph and stores its states. Then the gradient is pulled back step by step, each step
    computed again with a graph: its Hessian-vector product is a double backward of that step alone, so that a
    second-order gradient takes little more than the memory of a first-order one. For the idea see "Scalable
    Meta-Learning via Mixed-Mode Differentiation", ICML 2025 (arXiv 2505.00793).
    """

    def first_state(meta: Parameters) -> Any:
        return over_tasks(lambda support: _adapted(method, meta, support, min(steps, 1)))(support)

    state = first_state(meta)
    trajectory = []
    for storage in _allocate(state, steps - 1):
        trajectory.append(_store(state, storage))
        state = over_tasks(method.step)(trajectory[-1], support)

    def query_loss(floats: list[Tensor]) -> Tensor:
        return over_tasks(method.loss)(_with_floats(state, floats), query).sum()  # type: ignore[no-any-return]

    by_state, loss = grad_and_value(query_loss)(_floats(state))
    for state in reversed(trajectory):

        def next_state(floats: list[Tensor], state: Any = state) -> list[Tensor]:
            return _floats(over_tasks(method.step)(_with_floats(state, floats), support))

        by_state = vjp(next_state, _floats(state), by_state)
    return vjp(lambda meta: _floats(first_state(meta)), meta, by_state), loss


def _adapted(method: InnerLoopMethod, meta: Parameters, support: Examples, steps: int) -> Any:
    """One task's state after ``steps`` inner steps."""
    state = method.init(meta, support)
    for _ in range(steps):
        state = method.step(state, support)
    return state


def _allocate(state: Any, count: int) -> list[Any]:
    """Allocate ``count`` states, one block per tensor: many small long-lived tensors would fragment the heap."""
    blocks = pytree.tree_map(lambda leaf: leaf.new_empty((max(count, 0), *leaf.shape)), state)
    return [pytree.tree_map(lambda block, index=index: block[index], blocks) for index in range(count)]


def _store(state: Any, storage: Any) -> Any:
    """Copy the state into its storage; return the state itself if its shapes differ, as one that grows each step."""
    (values, structure), (targets, expected) = pytree.tree_flatten(state), pytree.tree_flatten(storage)
    if structure != expected or any(v.shape != p.shape for v, p in zip(values, targets, strict=True)):
        return state
    return pytree.tree_unflatten(
        [target.copy_(value) for target, value in zip(targets, values, strict=True)], structure
    )


def _floats(state: Any) -> list[Tensor]:
    """The tensors of a state that can be differentiated; a step counter cannot."""
    return [leaf for leaf in pytree.tree_leaves(state) if leaf.is_floating_point()]


def _with_floats(state: Any, floats: list[Tensor]) -> Any:
    """The state with these in place of its differentiable tensors."""
    remaining = iter(floats)
    return pytree.tree_map(lambda leaf: next(remaining) if leaf.is_floating_point() else leaf, state)
