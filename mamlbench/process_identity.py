"""Which process of which machine wrote a file, and whether it still runs; no clock is asked, since clocks jump."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import uuid
from functools import cache
from pathlib import Path

_OWNER = re.compile(r"(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\w+)-[0-9a-f]{8}")

LONGEST_OWNER = 8 + 1 + 10 + 1 + 20 + 1 + 8
"""Characters of ``owner_name`` with the longest numbers of a process and of its start."""


@cache
def machine() -> str:
    """Identify the running machine and, in a container, the container: where numbers of processes are comparable."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return f"{platform.node()} {uuid.getnode():x}"


def process_start(pid: int) -> str:
    """When a process of this machine started; '' if it has ended, 'unknown' if it lives and the system does not say."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return "unknown" if _exists(pid) else ""
    return "" if state in "ZX" else fields[18]  # a zombie has ended; field 22 is the start in clock ticks since boot


def owner_name() -> str:
    """A name for something that this process writes: machine, process, its start, and a random part for each call."""
    pid = os.getpid()
    return f"{_short(machine())}-{pid}-{process_start(pid)}-{secrets.token_hex(4)}"


def owner_has_ended(name: str) -> bool | None:
    """Whether the process has ended that made ``name`` with ``owner_name``; None if it is not of this machine."""
    owner = _OWNER.fullmatch(name)
    if owner is None or owner["machine"] != _short(machine()):
        return None
    return process_start(int(owner["pid"])) != owner["start"]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process, which /proc may hide
        return True
    return True
