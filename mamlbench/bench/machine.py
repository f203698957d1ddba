"""The peak arithmetic rate of this machine, and the number of operations of a computation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

SIZE, SECONDS = 1024, 1.0
"""Rows and columns of the matrices, and duration of the measurement."""


def matrix_product_peak() -> float:
    """Measure the highest rate of a float32 matrix product, in operations per second."""
    a, b = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2.0 * SIZE**3 / best


def operations(compute: Callable[[], Any]) -> int:
    """Count multiplications and additions in convolutions and matrix products while ``compute`` runs (loop engine)."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())
