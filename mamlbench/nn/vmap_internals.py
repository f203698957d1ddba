"""Inside ``torch.func.vmap``: access to the tensors of all tasks, and gradients by reverse mode over them.

functorch keeps a stack of active transforms. Inside vmap a tensor of one task wraps a tensor of all tasks, with the
tasks in some dimension; taking the transform off the stack for a moment and unwrapping its tensors gives ordinary
tensors for ordinary functions and autograd. All of that is internal to torch: ``_NEEDED`` lists what is used; if a
release of torch lacks any of it, ``inside_one_vmap`` is False and callers use ``torch.func``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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
_SUPPORTED = all(hasattr(_functorch, name) for name in _NEEDED)
"""Whether this release of torch has the internals that this module uses."""

_differentiating: ContextVar[bool] = ContextVar("differentiating", default=False)


def inside_one_vmap() -> bool:
    """Whether one ``torch.func.vmap`` is active, and no other transform."""
    if not _SUPPORTED or torch.compiler.is_compiling():
        return False
    transforms = _functorch.get_interpreter_stack() or ()
    return len(transforms) == 1 and transforms[0].key() == _functorch.TransformType.Vmap


def vmap_size() -> int:
    """Number of tasks that the one active ``torch.func.vmap`` vectorizes; 1 unless ``inside_one_vmap``."""
    return _batch_size() if inside_one_vmap() else 1


def differentiating_tasks() -> bool:
    """Whether ``grad_and_value_of_tasks`` is computing a loss, so that a gradient taken now is one inside another."""
    return _differentiating.get()


def grad_and_value_of_tasks(loss: Callable[[Any], Tensor], at: Any) -> tuple[Any, Tensor]:
    """Each task's gradient and loss, inside one vmap.

    A task's loss depends on its own tensors alone, so that the derivative of the sum over tasks contains the gradient
    of each.

    Args:
        loss: a function of one task's tensors; a scalar ``[]``.
        at: a pytree of one task's tensors.

    Returns:
        A pytree like ``at``, and the loss. Both can be differentiated if gradients are enabled.
    """
    differentiable = torch.is_grad_enabled()
    leaves, structure = pytree.tree_flatten(at)
    with torch.enable_grad():
        tasks = [_alias(unwrap_batch_expanded(leaf)) for leaf in leaves]  # each [T, ...]
        token = _differentiating.set(True)
        try:
            value = loss(pytree.tree_unflatten([wrap_batch(leaf) for leaf in tasks], structure))
        finally:
            _differentiating.reset(token)
        losses = unwrap_batch_expanded(value)  # [T]
        with outside_vmap():
            if losses.requires_grad:
                ones = torch.ones_like(losses)
                gradients = torch.autograd.grad(
                    losses, tasks, ones, create_graph=differentiable, materialize_grads=True
                )
            else:
                gradients = tuple(map(torch.zeros_like, tasks))
            losses = losses if differentiable else losses.detach()
    return pytree.tree_unflatten([wrap_batch(gradient) for gradient in gradients], structure), wrap_batch(losses)


def unwrap_batch(tensor: Tensor, *, into: int = 0) -> Tensor:
    """The tensor of all tasks, with the tasks in dimension ``into``; the tensor itself if all tasks share it."""
    dim = _functorch.maybe_get_bdim(tensor)
    if dim < 0:
        return tensor
    with outside_vmap():
        return _functorch.get_unwrapped(tensor).movedim(dim, into)


def unwrap_batch_expanded(tensor: Tensor, *, into: int = 0) -> Tensor:
    """``unwrap_batch``, where a tensor that all tasks share is expanded over the tasks, without a copy."""
    values = unwrap_batch(tensor, into=into)
    if values is not tensor:
        return values
    tasks = _batch_size()
    with outside_vmap():
        return values.unsqueeze(into).expand(*values.shape[:into], tasks, *values.shape[into:])


def wrap_batch(tensor: Tensor, *, dim: int = 0) -> Tensor:
    """The tensor of one task, from one with the tasks in dimension ``dim``."""
    level = _functorch.get_interpreter_stack()[0].level()
    return _functorch._add_batch_dim(tensor, dim, level)


@contextmanager
def outside_vmap() -> Iterator[None]:
    """Deactivate vmap inside, so that functions take the tensors of all tasks.

    While the transform is off the stack, no tensor that it wraps may be used: torch would look up a level that does not
    exist. ``finally`` is needed because a stack that stays short would break every later transform in this thread.
    """
    transform = _functorch.pop_dynamic_layer_stack()
    try:
        yield
    finally:
        _functorch.push_dynamic_layer_stack(transform)


def _batch_size() -> int:
    return int(_functorch.CVmapInterpreterPtr(_functorch.get_interpreter_stack()[0]).batchSize())


def _alias(tensor: Tensor) -> Tensor:
    """The same values as another leaf, so that its gradient does not include other uses of ``tensor``."""
    with outside_vmap():
        return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
