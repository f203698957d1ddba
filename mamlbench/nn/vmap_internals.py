"""Inside ``torch.func.vmap``: the tensors of all tasks behind those of one, and gradients by reverse mode over them.

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
_NEEDED = (
    "CVmapInterpreterPtr",
    "TransformType",
    "_add_batch_dim",
    "get_interpreter_stack",
    "get_unwrapped",
    "maybe_get_bdim",
    "pop_dynamic_layer_stack",
    "push_dynamic_layer_stack",
)
_KNOWN = all(hasattr(_functorch, name) for name in _NEEDED)
"""Whether this release of torch can be asked for what ``vmap`` holds."""


def inside_one_vmap() -> bool:
    """Whether one ``torch.func.vmap`` is under way here, and no other transform."""
    if not _KNOWN or torch.compiler.is_compiling():
        return False
    transforms = _functorch.get_interpreter_stack() or ()
    return len(transforms) == 1 and transforms[0].key() == _functorch.TransformType.Vmap


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
    with torch.enable_grad():
        tasks = [_alias(unwrap_batch_expanded(leaf)) for leaf in leaves]
        losses = unwrap_batch_expanded(
            loss(pytree.tree_unflatten([wrap_batch(each) for each in tasks], structure))
        )  # [T]
        with outside_vmap():
            if losses.requires_grad:
                along = torch.ones_like(losses)
                gradients = torch.autograd.grad(losses, tasks, along, create_graph=again, materialize_grads=True)
            else:
                gradients = tuple(map(torch.zeros_like, tasks))
            losses = losses if again else losses.detach()
    return pytree.tree_unflatten([wrap_batch(each) for each in gradients], structure), wrap_batch(losses)


def unwrap_batch(tensor: Tensor, *, into: int = 0) -> Tensor:
    """What vmap holds of a tensor: with the tasks in dimension ``into``, or without where all of them share it."""
    dim = _functorch.maybe_get_bdim(tensor)
    if dim < 0:
        return tensor
    with outside_vmap():
        return _functorch.get_unwrapped(tensor).movedim(dim, into)


def unwrap_batch_expanded(tensor: Tensor, *, into: int = 0) -> Tensor:
    """The same with the tasks in any case; what they share is repeated without a copy."""
    values = unwrap_batch(tensor, into=into)
    if values is not tensor:
        return values
    tasks = _functorch.CVmapInterpreterPtr(_functorch.get_interpreter_stack()[0]).batchSize()
    with outside_vmap():
        return values.unsqueeze(into).expand(*values.shape[:into], tasks, *values.shape[into:])


def wrap_batch(tensor: Tensor, *, dim: int = 0) -> Tensor:
    """One task's tensor, of one that has the tasks in dimension ``dim``."""
    level = _functorch.get_interpreter_stack()[0].level()
    return _functorch._add_batch_dim(tensor, dim, level)


@contextmanager
def outside_vmap() -> Iterator[None]:
    """As if vmap were not under way: tensors are those of all tasks."""
    transform = _functorch.pop_dynamic_layer_stack()
    try:
        yield
    finally:
        _functorch.push_dynamic_layer_stack(transform)


def _alias(tensor: Tensor) -> Tensor:
    """The same values, to differentiate by: what else uses ``tensor`` does not count."""
    with outside_vmap():
        return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
