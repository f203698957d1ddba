"""Saving, restoring and mapping of named tensors and pytrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.nn.parameters import Parameters


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix/`` before every name; tensors of any shape."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def unprefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Parameters:
    """Take the tensors, of any shape, whose names begin with ``prefix/``, and name them without it."""
    start = f"{prefix}/"
    return Parameters({name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)})


def copy_into(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    """Overwrite the values of ``target`` in place by those of the same name and shape.

    Raises KeyError if a name is missing in ``source``.
    """
    for name, value in target.items():
        value.copy_(source[name])


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply ``function`` leaf by leaf to pytrees of equal structure; None (an empty optional field) stays None."""
    return pytree.tree_map(lambda *leaves: None if leaves[0] is None else function(*leaves), *trees)
