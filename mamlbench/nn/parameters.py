"""Named tensors with the arithmetic of vectors, so that code says ``theta - lr * gradient`` as papers do."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Operand = dict[str, Tensor] | Tensor | float
"""The other operand of Parameters: tensors of the same names, or one number (or scalar tensor ``[]``) for all."""


class Parameters(dict[str, Tensor]):
    """Tensors by name, as ``nn.Module.named_parameters`` names them: ``{"head.weight": [outputs, d], ...}``.

    A dictionary that can be added, subtracted, multiplied and divided, tensor by tensor::

        theta - lr * gradient       # lr: a number, a scalar tensor, or Parameters with a rate for each tensor
        state | {"head.bias": b}    # the same with some tensors replaced; the others stay
        theta.dot(gradient)         # the sum over all elements of all tensors, a scalar

    Two operands must have the same names, or ValueError is raised. ``torch.func`` and ``torch.utils._pytree`` take it
    as they take a dictionary, and return Parameters.
    """

    __slots__ = ()

    def __add__(self, other: Operand) -> Parameters:
        """Add a number, or Parameters of the same names and shapes."""
        return self._combine(operator.add, other)

    def __sub__(self, other: Operand) -> Parameters:
        return self._combine(operator.sub, other)

    def __mul__(self, other: Operand) -> Parameters:
        return self._combine(operator.mul, other)

    def __truediv__(self, other: Operand) -> Parameters:
        return self._combine(operator.truediv, other)

    def __radd__(self, other: Operand) -> Parameters:
        return self._combine(lambda value, other: other + value, other)

    def __rsub__(self, other: Operand) -> Parameters:
        return self._combine(lambda value, other: other - value, other)

    def __rmul__(self, other: Operand) -> Parameters:
        return self._combine(lambda value, other: other * value, other)

    def __rtruediv__(self, other: Operand) -> Parameters:
        return self._combine(lambda value, other: other / value, other)

    def __neg__(self) -> Parameters:
        return self.map(operator.neg)

    def __or__(self, other: Mapping[str, Tensor]) -> Parameters:  # type: ignore[override]
        """These tensors and those of ``other``, which take precedence if both have a name."""
        return Parameters({**self, **other})

    def map(self, function: Callable[[Tensor], Tensor]) -> Parameters:
        """Apply ``function`` to each tensor, of any shape."""
        return Parameters({name: function(value) for name, value in self.items()})

    def select(self, names: Iterable[str]) -> Parameters:
        """The tensors of these names, by name, in this order. Raises KeyError if there is none of a name."""
        return Parameters({name: self[name] for name in names})

    def dot(self, other: dict[str, Tensor]) -> Tensor:
        """The inner product with tensors of the same names and shapes: a scalar ``[]``."""
        self._require_same_names(other)
        return torch.stack([(value * other[name]).sum() for name, value in self.items()]).sum()

    def _combine(self, operation: Callable[[Any, Any], Any], other: Operand) -> Parameters:
        if not isinstance(other, dict):  # one number for all tensors
            return Parameters({name: operation(value, other) for name, value in self.items()})
        self._require_same_names(other)
        return Parameters({name: operation(value, other[name]) for name, value in self.items()})

    def _require_same_names(self, other: dict[str, Tensor]) -> None:
        if other.keys() != self.keys():
            odd = ", ".join(sorted(other.keys() ^ self.keys()))
            raise ValueError(f"both operands must have the same names; only one has {odd}")


def _flatten(parameters: Parameters) -> tuple[list[Tensor], tuple[str, ...]]:
    return list(parameters.values()), tuple(parameters)


def _unflatten(values: Iterable[Tensor], names: tuple[str, ...]) -> Parameters:
    return Parameters(zip(names, values, strict=True))


# a subclass of dict that torch does not know would count as one leaf
pytree.register_pytree_node(Parameters, _flatten, _unflatten, serialized_type_name="mamlbench.api.Parameters")
