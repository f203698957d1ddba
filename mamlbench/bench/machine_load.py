"""How much of this machine other programs use while something is timed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.1
"""Cores used by others, or taken away by a host, from which on a timing is called disturbed."""

_BUSY_STATES = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq: columns of /proc/stat
_STEAL = 7


@dataclass(frozen=True)
class MachineLoad:
    """Mean use of the processor's cores over a time.

    Attributes:
        others: cores that other programs kept busy.
        stolen: cores that the host of a virtual machine gave to others.
    """

    others: float
    stolen: float

    @property
    def is_busy(self) -> bool:
        """Whether a time measured meanwhile is too long."""
        return self.others + self.stolen > BUSY

    def __str__(self) -> str:
        return f"other programs used {self.others:.1f} cores, the host took {self.stolen:.1f}"


class LoadMeter:
    """Measures the load from its creation on. On systems without /proc/stat ``load`` is None."""

    def __init__(self) -> None:
        self._start = _read()

    def load(self) -> MachineLoad | None:
        """Return the mean load since the creation, this process and its finished children left out."""
        end = _read()
        if self._start is None or end is None:
            return None
        seconds, busy, stolen, own = (after - before for before, after in zip(self._start, end, strict=True))
        return MachineLoad(max(busy - own, 0.0) / seconds, stolen / seconds) if seconds > 0 else None


def _read() -> tuple[float, float, float, float] | None:
    """Wall time; processor time of all programs, stolen, and of this process with its children, in seconds."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
        ticks = [int(field) for field in fields]
        busy, stolen = sum(ticks[column] for column in _BUSY_STATES), ticks[_STEAL]
    except (OSError, ValueError, IndexError):  # another system, or a container that hides it
        return None
    per_second = os.sysconf("SC_CLK_TCK")
    own = os.times()
    return time.monotonic(), busy / per_second, stolen / per_second, sum(own[:4])
