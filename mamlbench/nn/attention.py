"""Attention with a second derivative: torch's fused kernels have none, its plain one has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

FUSED = "scaled_dot_product_attention"


def uses_attention(network: nn.Module) -> bool:
    """Whether a layer of a network computes attention with torch's function for it."""
    return any(
        isinstance(layer, nn.MultiheadAttention) or FUSED in getattr(_code(layer), "co_names", ())
        for layer in network.modules()
    )


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Make torch compute attention by matrix products and a softmax inside, which have derivatives of every order.

    Open it around a forward pass: the backward pass follows the kernel of the forward pass. It takes memory quadratic
    in the number of tokens.
    """
    with sdpa_kernel(SDPBackend.MATH):
        yield


def _code(layer: nn.Module) -> object:
    return getattr(type(layer).forward, "__code__", None)
