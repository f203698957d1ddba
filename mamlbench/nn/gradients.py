"""Gradients with the signatures of ``torch.func``, without what functorch's transforms cost inside an inner step.

Inside vmap ``torch.func.grad`` pushes a transform of its own, under which every function with hand-written derivatives
gets a class made for that call alone: half a millisecond and more, in steps of a few hundred. It also keeps a backward
graph that may not be needed. The functions here use reverse mode instead if that gives the same numbers, and call
``torch.func`` otherwise.
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
        has_aux: whether ``function`` returns something beside the scalar, which is then returned beside the gradient.

    Differentiable wherever something differentiates it. Elsewhere it saves what ``grad_and_value`` saves.
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
        has_aux: whether ``function`` returns something beside the scalar, which is then returned beside it.

    torch's own keeps the whole backward pass in memory, as a derivative of the gradient would need it. Where gradients
    are switched off (``torch.no_grad``, as the engines do) and no transform of ``torch.func`` is active, nothing can
    differentiate the result: there the graph is freed on the way back. The numbers are the same bit for bit.

    Raises RuntimeError if ``function`` returns no scalar tensor.
    """

    def gradient_and_value(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if reverse_mode_applies(argnums, args):
            return by_reverse_mode(function, argnums, has_aux, args, kwargs)
        return torch.func.grad_and_value(function, argnums, has_aux)(*args, **kwargs)

    return gradient_and_value


def reverse_mode_applies(argnums: Argnums, args: tuple[Any, ...]) -> bool:
    """Whether ``by_reverse_mode`` gives what ``torch.func`` gives, for a gradient that is asked for here.

    It does not apply to a gradient inside another one of a task: that would make third derivatives of the second-order
    meta-gradient around both, which hand-written derivatives do not have. torch's transform has derivatives of any
    order, since under it layers compute with torch's own functions.
    """
    if torch.compiler.is_compiling():
        return False
    if not _is_last() and (differentiating_tasks() or not inside_one_vmap()):
        return False
    positions = (argnums,) if isinstance(argnums, int) else argnums
    if not positions or len(set(positions)) < len(positions):
        return False  # torch has errors of its own for these, and for the following
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

    again = torch.is_grad_enabled()
    at = tuple(args[position] for position in positions)
    if inside_one_vmap():
        gradients, value = grad_and_value_of_tasks(value_of, at)
    else:
        gradients, value = _pulled_back(value_of, at, None)
    gradients = gradients[0] if single else gradients
    if not has_aux:
        return gradients, value
    # what is returned beside the scalar was computed with a graph, which nothing needs unless gradients are enabled
    aux = extra[0] if again else pytree.tree_map_only(Tensor, Tensor.detach, extra[0])
    return gradients, (value, aux)


def vjp(function: Callable[[Any], Any], at: Any, cotangent: Any) -> Any:
    """The vector-Jacobian product of ``function`` in ``at``, a pytree of tensors: ``torch.func.vjp`` in one go.

    Args:
        function: from a pytree like ``at`` to another pytree of tensors.
        at: where its derivative is taken.
        cotangent: what is pulled back, a pytree like the outputs.

    Returns:
        A pytree like ``at``. What ``grad_and_value`` saves is saved here.
    """
    if _is_last():
        return _pulled_back(function, at, cotangent)[0]
    _, back, *_ = torch.func.vjp(function, at)
    return back(cotangent)[0]


def _scalar(output: Any, extra: list[Any] | None) -> Tensor:
    """What ``function`` returned, if it is a scalar; with ``extra``, what it returned beside it is appended there."""
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


def _pulled_back(function: Callable[[Any], Any], at: Any, cotangent: Any) -> tuple[Any, Any]:
    """The product and the detached outputs; ``cotangent`` None: 1, for a scalar."""
    leaves, structure = pytree.tree_flatten(at)
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        value = function(pytree.tree_unflatten(leaves, structure))
        outputs = pytree.tree_leaves(value)
        cotangents = [None] if cotangent is None else pytree.tree_leaves(cotangent)
        # an output may not depend on any of them
        pairs = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
        if pairs:
            depending, along = zip(*pairs, strict=True)
            gradients = torch.autograd.grad(depending, leaves, along, materialize_grads=True)
        else:
            gradients = tuple(map(torch.zeros_like, leaves))
    return pytree.tree_unflatten(list(gradients), structure), pytree.tree_map(Tensor.detach, value)


def _is_last() -> bool:
    """Whether nothing can differentiate what is computed here."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    active_transform = getattr(torch._C._functorch, "peek_interpreter_stack", lambda: "unknown")
    return active_transform() is None
