"""Compares a fused network with the plain one, in float64, once for each kind of network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from mamlbench.nn.network import Network
from mamlbench.nn.precision import relative_difference

TASKS, EXAMPLES = 2, 3
"""Kernels need at least two tasks; with fewer than three examples a batch norm of single pixels is constant."""
TOLERANCE = 1e-7
"""Norm of the difference over the norm, of outputs and gradients in float64."""

DIFFERS = "fused, it differs from the plain network"
"""Beginning of the reason if the fused network computes something else, which is always a fault of fusion."""

_verdicts: dict[object, str] = {}


def mismatch(plain: Network, fused: Network) -> str:
    """How a fused network differs from the plain one; empty if it does not.

    Outputs and gradients of two tasks with random parameters and inputs: one after the other through the plain network,
    together under vmap through the fused one. The verdict is cached for networks of the same layers.
    """
    if not plain.input_shape:
        return "the shape of its input is unknown, so that it cannot be compared with the plain network"
    key = (repr(plain), _code(fused), plain.input_shape, next(plain.parameters()).device)
    if key not in _verdicts:
        try:
            _verdicts[key] = _compare(plain, fused)
        except Exception as error:  # the author's network may raise any type in float64 or under vmap
            first_line = (str(error).strip().splitlines() or [""])[0]
            _verdicts[key] = f"it could not be compared with the plain network: {type(error).__name__}: {first_line}"
    return _verdicts[key]


def _compare(plain: Network, fused: Network) -> str:
    generator = torch.Generator().manual_seed(0)
    device = next(plain.parameters()).device

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(device)

    parameters = {
        name: value.detach().double() + 0.1 * random(TASKS, *value.shape) for name, value in plain.named_parameters()
    }
    x = random(TASKS, EXAMPLES, *plain.input_shape)
    reference = _run(plain, parameters, x, _loop)
    difference = max(map(relative_difference, _run(fused, parameters, x, vmap), reference))
    if difference <= TOLERANCE:
        return ""
    return f"{DIFFERS} by {difference:.1e} in float64"  # also if it is nan


def _run(
    network: Network, parameters: Mapping[str, Tensor], x: Tensor, over_tasks: Callable[..., Callable[..., Any]]
) -> tuple[Tensor, Tensor]:
    """Outputs and gradients of the tasks, each flat."""
    buffers = {name: _double(value) for name, value in network.named_buffers()}

    def outputs_of(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(network, {**parameters, **buffers}, (x,))  # type: ignore[no-any-return]

    with torch.enable_grad():
        leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        outputs = over_tasks(outputs_of)(leaves, x)
        # of a nonlinear function: the sum of normalized values has no gradient
        gradients = torch.autograd.grad(outputs.sin().sum(), list(leaves.values()), materialize_grads=True)
    return outputs.detach().flatten(), torch.cat([gradient.flatten() for gradient in gradients])


def _loop(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def compute(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        tasks = [function({name: value[t] for name, value in parameters.items()}, x[t]) for t in range(TASKS)]
        return torch.stack(tasks)

    return compute


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _code(network: Network) -> tuple[str, ...]:
    return tuple(str(getattr(part, "code", "")) for part in (network.features, network.head))
