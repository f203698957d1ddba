"""Makes glibc keep the memory of large tensors instead of returning it to the system after every operation.

Mapping and faulting the same pages in again costs vectorized steps on a CPU up to half their time. MAMLBENCH_MALLOC=0
leaves the allocator alone.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h


@lru_cache
def keep_memory() -> str:
    """Raise glibc's mmap and trim thresholds for this process; return what was done, for the record."""
    if os.environ.get("MAMLBENCH_MALLOC") == "0":
        return "system default (MAMLBENCH_MALLOC=0)"
    if not sys.platform.startswith("linux"):
        return "system default"
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return "system default (no mallopt)"
    done = mallopt(_M_MMAP_THRESHOLD, 1 << 30) and mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    return "glibc, mmap and trim thresholds raised" if done else "system default (mallopt refused)"
