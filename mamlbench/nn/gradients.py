"""Gradients as ``torch.func`` takes them, without the memory for a derivative that nobody takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.nn.vmap_internals import grad_and_value_of_tasks, inside_one_vmap


def grad(loss: Callable[..., Tensor]) -> Callable[..., Any]:
    """``torch.func.grad``: ``grad(loss)(at, ...)`` is the gradient with respect to the tensors of the pytree ``at``.

    Args:
        loss: a scalar ``[]`` of ``at`` and whatever else.

    Differentiable wherever something differentiates it. Elsewhere it spares what ``grad_and_value`` spares.
    """
    return lambda *arguments: grad_and_value(loss)(*arguments)[0]


def grad_and_value(loss: Callable[..., Tensor]) -> Callable[..., tuple[Any, Tensor]]:
    """``torch.func.grad_and_value``: the gradient, shaped as the pytree ``at``, and the scalar ``[]`` itself.

    Args:
        loss: a scalar ``[]`` of ``at`` and whatever else.

    torch's own keeps the whole backward pass in memory, as a derivative of the gradient would need it. Where gradients
    are switched off (``torch.no_grad``, as the engines do) and no transform of ``torch.func`` is under way, nothing can
    differentiate the result: there the graph is let go on the way back. The numbers are the same bit for bit.
    """

    def compute(at: Any, *rest: Any) -> tuple[Any, Tensor]:
        if inside_one_vmap():
            return grad_and_value_of_tasks(lambda at: loss(at, *rest), at)
        if not _is_last():
            return torch.func.grad_and_value(loss)(at, *rest)
        gradient, value = _pulled_back(lambda at: loss(at, *rest), at, None)
        return gradient, value

    return compute


def vjp(function: Callable[[Any], Any], at: Any, slope: Any) -> Any:
    """The vector-Jacobian product of ``function`` in ``at``, a pytree of tensors: ``torch.func.vjp`` in one go.

    Args:
        function: from a pytree like ``at`` to another pytree of tensors.
        at: where its derivative is taken.
        slope: what is pulled back, a pytree like the outputs.

    Returns:
        A pytree like ``at``. What ``grad_and_value`` spares is spared here.
    """
    if _is_last():
        return _pulled_back(function, at, slope)[0]
    _, back, *_ = torch.func.vjp(function, at)
    return back(slope)[0]


def _pulled_back(function: Callable[[Any], Any], at: Any, slope: Any) -> tuple[Any, Any]:
    """The product and the detached outputs; ``slope`` None: 1, for a scalar."""
    leaves, structure = pytree.tree_flatten(at)
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        value = function(pytree.tree_unflatten(leaves, structure))
        outputs = pytree.tree_leaves(value)
        slopes = [None] if slope is None else pytree.tree_leaves(slope)
        # an output may not depend on any of them
        pairs = [pair for pair in zip(outputs, slopes, strict=True) if pair[0].requires_grad]
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
    transform_at_work = getattr(torch._C._functorch, "peek_interpreter_stack", lambda: "unknown")
    return transform_at_work() is None
