"""Devices: from 'auto' to a real one, and its name."""

from __future__ import annotations

from pathlib import Path

import torch

from mamlbench.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """Return the device called ``name``; 'auto' is the first GPU where there is one, else the CPU.

    Raises ConfigError where the name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"Unknown device '{name}': use auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            found = f"{count} GPU(s)" if count else "no GPU"
            raise ConfigError(f"Device '{name}' was asked for, and torch finds {found} here: use --device cpu.")
    elif device.type != "cpu":
        raise ConfigError(f"Device '{name}' is not supported: use auto, cpu, cuda or cuda:N.")
    return device


def bf16_support(device: torch.device) -> str:
    """Say whether the hardware computes in bfloat16 by itself, so that ``--precision bf16`` can be expected to gain."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return "in hardware (tensor cores)" if native else "not in hardware: slower than float32"
    flags = [name for name in ("amx_bf16", "avx512_bf16") if name in _cpu_flags()]
    return f"in hardware ({', '.join(flags)})" if flags else "not in hardware: slower than float32"


def _cpu_flags() -> set[str]:
    """What /proc/cpuinfo says that the processor can do; nothing elsewhere than on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}


def device_name(device: torch.device) -> str:
    """What the device calls itself; empty for a CPU, whose name the environment holds."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
