"""Functions in C, compiled on the machine they run on; each has an equal in torch, used if they cannot be compiled."""

from mamlbench.nn.kernels.compiler import available, kernels_in_use, kernels_to_compile
from mamlbench.nn.kernels.convolution import Geometry, convolve, input_grad, weight_grad
from mamlbench.nn.kernels.norm import batch_norm_relu, batch_norm_relu_backward, batch_norm_relu_double_backward

__all__ = [
    "Geometry",
    "available",
    "batch_norm_relu",
    "batch_norm_relu_backward",
    "batch_norm_relu_double_backward",
    "convolve",
    "input_grad",
    "kernels_in_use",
    "kernels_to_compile",
    "weight_grad",
]
