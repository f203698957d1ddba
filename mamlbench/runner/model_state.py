"""Whether a stored state is one of the network and method that it is meant for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mamlbench.errors import ConfigError, summarize_names


def refuse_foreign_state(state: Mapping[str, Any], expected: Mapping[str, Any], model: Path) -> None:
    """Raise ConfigError, with the first names and the file ``model``, if ``foreign_tensors`` finds any."""
    if wrong := foreign_tensors(state, expected):
        raise ConfigError(
            f"'{model}' is no model of this method and network: {summarize_names(wrong, 3)}. Name another, or train it "
            "again."
        )


def foreign_tensors(state: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Describe the tensors that a method needs and that are missing, of another shape or kind, or not finite.

    A stored state may hold more, the moments of the outer optimizer; and float32 for float64, which is converted.

    Args:
        state: tensors of any shape by name, as they were read.
        expected: the state of the method before training.
    """
    return [
        f"{name} ({problem})"
        for name, value in expected.items()
        if isinstance(value, Tensor) and (problem := _problem(state.get(name), value))
    ]


def named_tensors(state: Any) -> dict[str, Any]:
    """Return a state as it was read. Raises ValueError unless it is one, by name."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError("it holds no tensors by name")
    return state


def file_beside(description: Path, name: Any) -> Path:
    """Path of a file that a model's JSON file names. Raises ValueError unless it lies beside it."""
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\x00"):
        raise ValueError(f"'{description.name}' names no file beside it")
    return description.parent / name


def _problem(value: Any, expected: Tensor) -> str:
    if not isinstance(value, Tensor):
        return "missing"
    if value.shape != expected.shape:
        return f"{list(value.shape)} instead of {list(expected.shape)}"
    if value.is_floating_point() != expected.is_floating_point() or value.is_complex() != expected.is_complex():
        return f"{value.dtype} instead of {expected.dtype}".replace("torch.", "")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        return "not finite"
    return ""
