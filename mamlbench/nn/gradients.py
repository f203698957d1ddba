"""Gradients with the signatures of ``torch.func``, without the cost of functorch's transforms in an inner step.

Inside vmap ``torch.func.grad`` pushes a transform of its own, under which torch creates a class in every call of a
function with hand-written derivatives: half a millisecond or more, in steps of a few hundred microseconds. It also
stores a backward graph that may not be needed. The functions here use reverse mode instead if that gives the same
numbers, and call ``torch.func`` otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.nn.vmap_internals import differentiating_tasks, grad_and_value_of_tasks, inside_one_vmap

Argnums = int | tuple[int, ...]
"""Positions of the arguments to differentiate by."""


def grad(function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """``torch.func.grad``: ``grad(loss)(parameters, ...)`` is the gradient by the tensors of the pytree ``parameters``.

    Args:
        function: a scalar ``[]`` of its arguments; with ``has_aux`` that scalar and a pytree of tensors.
        argnums: which arguments to differentiate by: pytrees of floating-point tensors.
        has_aux: whether ``function`` returns (scalar, auxiliary); the result is then (gradient, auxiliary).

    The result can be differentiated. If nothing can differentiate it, the graph is freed as in ``grad_and_value``.
    """

    def gradient(*args: Any, **kwargs: Any) -> Any:
        gradients, value = grad_and_value(function, argnums, has_aux)(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def grad_and_value(
    function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """``torch.func.grad_and_value``: the gradient, shaped as the arguments differentiated by, and the scalar ``[]``.

    Args:
        function: a scalar ``[]`` of its arguments; with ``has_aux`` that scalar and a pytree of tensors.
        argnums: which arguments to differentiate by: pytrees of floating-point tensors.
        has_aux: whether ``function`` returns (scalar, auxiliary); the result is then (gradient, (scalar, auxiliary)).

    torch's own stores the whole backward pass, as a derivative of the gradient would need it. If gradients are disabled
    (``torch.no_grad``, as the engines do) and no transform of ``torch.func`` is active, nothing can differentiate the
    result, and the graph is freed during the backward pass. The numbers are the same bit for bit.

    Raises RuntimeError if ``function`` returns no scalar tensor.
    """

    def gradient_and_value(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if reverse_mode_applies(argnums, args):
            return by_reverse_mode(function, argnums, has_aux, args, kwargs)
        return torch.func.grad_and_value(function, argnums, has_aux)(*args, **kwargs)

    return gradient_and_value


def reverse_mode_applies(argnums: Argnums, args: tuple[Any, ...]) -> bool:
    """Whether ``by_reverse_mode`` gives the result of ``torch.func`` for a gradient that is computed here.

    Not for a gradient inside another one of a task: the second-order meta-gradient of both would take third
    derivatives, which hand-written functions do not have. Under torch's transform layers use torch's own functions,
    which have derivatives of any order.
    """
    if torch.compiler.is_compiling():
        return False
    if not _is_outermost() and (differentiating_tasks() or not inside_one_vmap()):
        return False
    positions = (argnums,) if isinstance(argnums, int) else argnums
    if not positions or len(set(positions)) < len(positions):
        return False  # left to torch, which raises its own errors for these and the following
    if not all(-len(args) <= position < len(args) for position in positions):
        return False
    leaves = pytree.tree_leaves([args[position] for position in positions])
    return all(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves)


def by_reverse_mode(
    function: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    """``torch.func.grad_and_value(function, argnums, has_aux)(*args, **kwargs)`` if ``reverse_mode_applies``.

    Raises RuntimeError if ``function`` returns no scalar tensor.
    """
    single = isinstance(argnums, int)
    positions: tuple[int, ...] = (argnums,) if isinstance(argnums, int) else argnums
    extra: list[Any] = []

    def value_of(differentiated: tuple[Any, ...]) -> Tensor:
        replaced = list(args)
        for position, argument in zip(positions, differentiated, strict=True):
            replaced[position] = argument
        return _scalar(function(*replaced, **kwargs), extra if has_aux else None)

    differentiable = torch.is_grad_enabled()
    at = tuple(args[position] for position in positions)
    if inside_one_vmap():
        gradients, value = grad_and_value_of_tasks(value_of, at)
    else:
        gradients, value = _vjp_and_value(value_of, at, None)
    gradients = gradients[0] if single else gradients
    if not has_aux:
        return gradients, value
    # the auxiliary output was computed with a graph, which nothing needs unless gradients are enabled
    aux = extra[0] if differentiable else pytree.tree_map_only(Tensor, Tensor.detach, extra[0])
    return gradients, (value, aux)


def vjp(function: Callable[[Any], Any], at: Any, cotangent: Any) -> Any:
    """The vector-Jacobian product of ``function`` at ``at``, a pytree of tensors: ``torch.func.vjp`` in one call.

    Args:
        function: from a pytree like ``at`` to another pytree of tensors.
        at: where its derivative is taken.
        cotangent: the vector to pull back, a pytree like the outputs.

    Returns:
        A pytree like ``at``. The graph is freed as in ``grad_and_value``.
    """
    if _is_outermost():
        return _vjp_and_value(function, at, cotangent)[0]
    _, back, *_ = torch.func.vjp(function, at)
    return back(cotangent)[0]


def _scalar(output: Any, extra: list[Any] | None) -> Tensor:
    """The scalar of ``function``'s output; with ``extra``, the auxiliary output is appended there."""
    if extra is not None:
        if not (isinstance(output, tuple) and len(output) == 2):
            raise RuntimeError("grad: with has_aux the function must return a tuple (scalar, auxiliary)")
        output, aux = output
        extra.append(aux)
    if not isinstance(output, Tensor):
        raise RuntimeError(f"grad: the function must return a scalar tensor, not {type(output).__name__}")
    if output.ndim or not output.is_floating_point():
        raise RuntimeError(
            f"grad: the function must return a real scalar tensor [], not {output.dtype} {list(output.shape)}"
        )
    return output


def _vjp_and_value(function: Callable[[Any], Any], at: Any, cotangent: Any) -> tuple[Any, Any]:
    """The vector-Jacobian product and the detached outputs; a ``cotangent`` of None means 1, for a scalar."""
    leaves, structure = pytree.tree_flatten(at)
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        value = function(pytree.tree_unflatten(leaves, structure))
        outputs = pytree.tree_leaves(value)
        cotangents = [None] if cotangent is None else pytree.tree_leaves(cotangent)
        # outputs that do not depend on ``at`` have no gradient to add
        pairs = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
        if pairs:
            depending, vectors = zip(*pairs, strict=True)
            gradients = torch.autograd.grad(depending, leaves, vectors, materialize_grads=True)
        else:
            gradients = tuple(map(torch.zeros_like, leaves))
    return pytree.tree_unflatten(list(gradients), structure), pytree.tree_map(Tensor.detach, value)


def _is_outermost() -> bool:
    """Whether nothing can differentiate the result: gradients are disabled and no transform is active."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    active_transform = getattr(torch._C._functorch, "peek_interpreter_stack", lambda: "unknown")
    return active_transform() is None
