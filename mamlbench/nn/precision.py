"""A run's precision applied to tensors: dtype of parameters and examples, autocast, rounding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from mamlbench.run_spec.precision import Precision

ROUNDING: dict[Precision, float] = {
    "float32": torch.finfo(torch.float32).eps,
    "bf16": torch.finfo(torch.bfloat16).eps,
    "float64": torch.finfo(torch.float64).eps,
}
"""Distance from 1 to the next number, in the type that convolutions and matrix products are computed in."""


def parameter_dtype(precision: Precision) -> torch.dtype:
    """Type of parameters, examples and losses; under bf16 they stay in float32."""
    return torch.float64 if precision == "float64" else torch.float32


def in_precision(examples: Any, precision: Precision) -> Any:
    """Cast the float tensors of a pytree, of any shape, to the parameters' dtype; those that have it are not copied."""
    dtype = parameter_dtype(precision)
    return pytree.tree_map(
        lambda leaf: leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf, examples
    )


@contextmanager
def bf16_autocast(device: torch.device) -> Iterator[None]:
    """Make torch compute convolutions and matrix products in bfloat16 inside; parameters stay in float32.

    Open it around a forward pass alone: the backward pass uses the dtypes of the forward pass by itself.
    """
    # No cache: it would hand a cast weight of one task, or of one level of differentiation, to another.
    with torch.autocast(device.type, torch.bfloat16, cache_enabled=False), _CastConvolutions():
        yield


class _CastConvolutions(TorchFunctionMode):
    """Casts the arguments of convolutions, which torch's autocast misses under ``vmap`` on a CPU.

    vmap turns conv2d into aten::convolution, which is not on that autocast's list (torch 2.14), and computes in float32
    what the loop computes in bfloat16. Autocast does not cast again what is cast here.
    """

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        if function in _CONVOLUTIONS:
            arguments, options = pytree.tree_map(_to_bf16, (arguments, options))
        return function(*arguments, **(options or {}))


_CONVOLUTIONS = {
    F.conv1d,
    F.conv2d,
    F.conv3d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
}


def _to_bf16(value: Any) -> Any:
    return value.bfloat16() if isinstance(value, Tensor) and value.dtype == torch.float32 else value


def bf16_is_on(device: torch.device) -> bool:
    """Whether ``bf16_autocast`` (or the user's own autocast) is open for that kind of device."""
    return torch.is_autocast_enabled(device.type)


def relative_difference(tensor: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference, in float64; 0 if both are zero. Equal shapes."""
    tensor, reference = tensor.double(), reference.double()
    difference, norm = float((tensor - reference).norm()), float(reference.norm())
    return difference / norm if norm else difference
