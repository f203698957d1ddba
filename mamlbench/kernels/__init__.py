"""What is computed in C, compiled on the machine it runs on; everything here has a counterpart in torch."""

from mamlbench.kernels.compiler import at_hand, kernels_in_use
from mamlbench.kernels.convolution import Geometry, convolve, to_filters, to_input
from mamlbench.kernels.norm import rectified_norm, rectified_norm_curvature, rectified_norm_slope

__all__ = [
    "Geometry",
    "at_hand",
    "convolve",
    "kernels_in_use",
    "rectified_norm",
    "rectified_norm_curvature",
    "rectified_norm_slope",
    "to_filters",
    "to_input",
]
