"""The floating-point numbers that a run computes in."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["float32", "bf16", "float64"]
"""float32; bf16 (convolutions and matrix products in bfloat16, everything else in float32); or float64 throughout."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
