"""Gradients of many tasks under ``torch.func.vmap``, by reverse mode over all of them at once.

A task's loss depends on its own tensors alone, so that the derivative of the sum over tasks holds each one's gradient.
Inside vmap ``torch.func.grad`` does the same by a transform of its own, under which every function whose derivative is
written by hand gets a class made for that call alone: half a millisecond and more, in steps of a few hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

_functorch = torch._C._functorch
_NEEDED = ("TransformType", "CVmapInterpreterPtr", "get_interpreter_stack", "get_unwrapped", "maybe_get_bdim", "_add_batch_dim",
           "pop_dynamic_layer_stack", "push_dynamic_layer_stack")  # fmt: skip
_KNOWN = all(hasattr(_functorch, name) for name in _NEEDED)
"""Whether this release of torch can be asked for what ``vmap`` holds."""


def vmaps_under_way() -> int:
    """How many ``torch.func.vmap`` there are around here; 0 where this release of torch does not tell."""
    return sum(level.key() == _functorch.TransformType.Vmap for level in _transforms())


def inside_one_vmap() -> bool:
    """Whether one ``torch.func.vmap`` is under way here, and no other transform."""
    return not torch.compiler.is_compiling() and vmaps_under_way() == len(_transforms()) == 1


def _transforms() -> list[Any]:
    """The transforms of ``torch.func`` that are under way, outermost first."""
    return (_functorch.get_interpreter_stack() or []) if _KNOWN else []


def grad_and_value_of_tasks(loss: Callable[[Any], Tensor], at: Any) -> tuple[Any, Tensor]:
    """Each task's gradient and loss, inside one vmap.

    Args:
        loss: one task's, a scalar ``[]``.
        at: a pytree of one task's tensors.

    Returns:
        A pytree like ``at``, and the loss. They can be differentiated again where gradients are switched on.
    """
    again = torch.is_grad_enabled()
    leaves, structure = pytree.tree_flatten(at)
    (vmap,) = _transforms()
    tasks, level = _functorch.CVmapInterpreterPtr(vmap).batchSize(), vmap.level()

    def batched(tensors: Any) -> list[Tensor]:
        return [_functorch._add_batch_dim(each, 0, level) for each in tensors]

    with torch.enable_grad():
        stacked = [_alias(each) for each in _stacked(leaves, tasks)]
        value = loss(pytree.tree_unflatten(batched(stacked), structure))
        (values,) = _stacked([value], tasks)
        with _outside():
            if values.requires_grad:
                along = torch.ones_like(values)
                gradients = torch.autograd.grad(values, stacked, along, create_graph=again, materialize_grads=True)
            else:
                gradients = tuple(map(torch.zeros_like, stacked))
            values = values if again else values.detach()
    return pytree.tree_unflatten(batched(gradients), structure), batched([values])[0]


def _stacked(tensors: list[Tensor], tasks: int) -> list[Tensor]:
    """What vmap holds: ``[T, *shape]`` of each; one that all tasks share is repeated without a copy."""
    dims = [_functorch.maybe_get_bdim(each) for each in tensors]  # -1: there is nothing of any task's own in it
    whole = [each if dim < 0 else _functorch.get_unwrapped(each) for each, dim in zip(tensors, dims, strict=True)]
    with _outside():
        return [
            each.expand(tasks, *each.shape) if dim < 0 else each.movedim(dim, 0)
            for each, dim in zip(whole, dims, strict=True)
        ]


def _alias(tensor: Tensor) -> Tensor:
    """The same values, to differentiate by: what else uses ``tensor`` does not count."""
    with _outside():
        return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


@contextmanager
def _outside() -> Iterator[None]:
    """As if vmap were not under way: tensors are those of all tasks."""
    vmap = _functorch.pop_dynamic_layer_stack()
    try:
        yield
    finally:
        _functorch.push_dynamic_layer_stack(vmap)
