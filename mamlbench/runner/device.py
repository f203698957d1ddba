"""Finds the device of a run, its name, and what it computes in hardware."""

from __future__ import annotations

from pathlib import Path

import torch

from mamlbench.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """Return the device called ``name``; 'auto' is the first GPU if there is one, else the CPU.

    Raises ConfigError if the name is unknown or the device is not available.
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
            available = f"{count} GPU(s)" if count else "no GPU"
            raise ConfigError(f"Device '{name}' was requested, and torch finds {available} here: use --device cpu.")
    elif device.type != "cpu":
        raise ConfigError(f"Device '{name}' is not supported: use auto, cpu, cuda or cuda:N.")
    return device


def bf16_support(device: torch.device) -> str:
    """Describe whether the hardware computes in bfloat16, without which ``--precision bf16`` is slower than float32."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return "in hardware (tensor cores)" if native else "not in hardware: slower than float32"
    flags = [name for name in ("amx_bf16", "avx512_bf16") if name in _cpu_flags()]
    return f"in hardware ({', '.join(flags)})" if flags else "not in hardware: slower than float32"


def _cpu_flags() -> set[str]:
    """Features of the processor by /proc/cpuinfo; empty on other systems than Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}


def device_name(device: torch.device) -> str:
    """Return the name of a GPU; empty for a CPU, whose name is in the environment."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
