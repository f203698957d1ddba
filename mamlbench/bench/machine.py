"""What this machine can do at most, and how much arithmetic a piece of work is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

SIDE, SECONDS = 1024, 1.0


def matrix_product_peak() -> float:
    """Best rate of a float32 matrix product on this machine, in operations per second."""
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2.0 * SIDE**3 / best


def operations(compute: Callable[[], Any]) -> int:
    """Multiplications and additions in convolutions and matrix products while ``compute`` runs (on the loop engine)."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())
