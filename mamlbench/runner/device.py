"""Devices: from 'auto' to a real one, and its name."""

from __future__ import annotations

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


def device_name(device: torch.device) -> str:
    """What the device calls itself; empty for a CPU, whose name the environment holds."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
