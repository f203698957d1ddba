"""Arithmetic and bookkeeping on named tensors and pytrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.nn.model import Parameters


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix/`` before every name; tensors of any shape."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def unprefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the tensors, of any shape, whose names begin with ``prefix/``, and name them without it."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in tensors.items() if name.startswith(f"{prefix}/")}


def copy_into(target: Parameters, source: Parameters) -> None:
    """Overwrite the values of ``target`` in place by those of the same name and shape.

    Raises KeyError where a name is missing in ``source``.
    """
    for name, value in target.items():
        value.copy_(source[name])


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply ``function`` leaf by leaf to pytrees of equal structure; None, an optional field left out, stays None."""
    return pytree.tree_map(lambda *leaves: None if leaves[0] is None else function(*leaves), *trees)
