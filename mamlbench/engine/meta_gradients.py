"""Outer loss and meta-gradient, as the mathematics of one task: what every strategy maps over its tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.api import Examples, InnerLoopMethod, Parameters, grad_and_value, vjp

Differentiation = Literal["stored", "remat"]
"""How a gradient through the inner loop is computed: the usual graph of all steps, or one step's graph at a time."""

Each = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Makes a function of one task one of as many as the arguments hold: ``torch.func.vmap``, or ``of_one``."""


def of_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """There is one task: the function itself."""
    return function


class MetaGradient(Protocol):
    """Gradient of the outer loss by the meta-parameters, and that loss, both summed over the tasks given."""

    def __call__(
        self,
        method: InnerLoopMethod,
        meta: Parameters,
        support: Examples,
        query: Examples,
        steps: int,
        *,
        each: Each = of_one,
    ) -> tuple[Parameters, Tensor]:
        """``meta`` is closed over, never mapped: the first inner step has the same weights for all tasks."""


def meta_gradient(method: InnerLoopMethod, differentiation: Differentiation) -> MetaGradient:
    """How the method's gradient is computed."""
    if method.gradient_order == 1:
        return first_order_gradient
    return stored_gradient if differentiation == "stored" else remat_gradient


def stored_gradient(
    method: InnerLoopMethod, meta: Parameters, support: Examples, query: Examples, steps: int, *, each: Each = of_one
) -> tuple[Parameters, Tensor]:
    """By reverse mode over the graph of the whole inner loop."""

    def outer_loss(meta: Parameters) -> Tensor:
        def of_task(support: Examples, query: Examples) -> Tensor:
            return method.loss(_adapted(method, meta, support, steps), query)

        losses: Tensor = each(of_task)(support, query)  # [T], or [] of one
        return losses.sum()  # differentiated together: no gradient per task is ever held

    return grad_and_value(outer_loss)(meta)


def first_order_gradient(
    method: InnerLoopMethod, meta: Parameters, support: Examples, query: Examples, steps: int, *, each: Each = of_one
) -> tuple[Parameters, Tensor]:
    """Gradient of the query losses at the adapted states, pulled back through ``init`` alone.

    No graph of the inner loop exists at any time.
    """
    states = each(lambda support: _adapted(method, meta, support, steps))(support)
    slope, loss = grad_and_value(lambda states: each(method.loss)(states, query).sum())(states)
    return vjp(lambda meta: each(lambda support: method.init(meta, support))(support), meta, slope), loss


def remat_gradient(
    method: InnerLoopMethod, meta: Parameters, support: Examples, query: Examples, steps: int, *, each: Each = of_one
) -> tuple[Parameters, Tensor]:
    """Through the whole inner loop, with the graph of one step at a time.

    The inner loop is run without a graph; only its states are kept. Then the gradient is carried backwards, each step
    being computed again with a graph: its Hessian-vector product is a double backward of that step alone, so that a
    second-order gradient takes little more than the memory of a first-order one. For the idea see "Scalable
    Meta-Learning via Mixed-Mode Differentiation", ICML 2025 (arXiv 2505.00793).
    """

    def begun(meta: Parameters) -> Any:
        return each(lambda support: _adapted(method, meta, support, min(steps, 1)))(support)

    state = begun(meta)
    trajectory = []
    for room in _rooms(state, steps - 1):
        trajectory.append(_kept(state, room))
        state = each(method.step)(trajectory[-1], support)

    def query_loss(floats: list[Tensor]) -> Tensor:
        return each(method.loss)(_with_floats(state, floats), query).sum()  # type: ignore[no-any-return]

    slope, loss = grad_and_value(query_loss)(_floats(state))
    for state in reversed(trajectory):

        def following(floats: list[Tensor], state: Any = state) -> list[Tensor]:
            return _floats(each(method.step)(_with_floats(state, floats), support))

        slope = vjp(following, _floats(state), slope)
    return vjp(lambda meta: _floats(begun(meta)), meta, slope), loss


def _adapted(method: InnerLoopMethod, meta: Parameters, support: Examples, steps: int) -> Any:
    """One task's state after ``steps`` inner steps."""
    state = method.init(meta, support)
    for _ in range(steps):
        state = method.step(state, support)
    return state


def _rooms(state: Any, count: int) -> list[Any]:
    """Room for so many states, in one piece: small tensors that live long among large ones would split the heap."""
    pieces = pytree.tree_map(lambda leaf: leaf.new_empty((max(count, 0), *leaf.shape)), state)
    return [pytree.tree_map(lambda piece, place=place: piece[place], pieces) for place in range(count)]


def _kept(state: Any, room: Any) -> Any:
    """The state moved into its room; one that grows with every step stays where it is."""
    (values, structure), (places, expected) = pytree.tree_flatten(state), pytree.tree_flatten(room)
    if structure != expected or any(v.shape != p.shape for v, p in zip(values, places, strict=True)):
        return state
    return pytree.tree_unflatten([place.copy_(value) for place, value in zip(places, values, strict=True)], structure)


def _floats(state: Any) -> list[Tensor]:
    """What of a state can be differentiated; a step counter, say, cannot."""
    return [leaf for leaf in pytree.tree_leaves(state) if leaf.is_floating_point()]


def _with_floats(state: Any, floats: list[Tensor]) -> Any:
    """The state with these in place of its differentiable tensors."""
    rest = iter(floats)
    return pytree.tree_map(lambda leaf: next(rest) if leaf.is_floating_point() else leaf, state)
