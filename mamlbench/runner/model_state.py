"""Whether a stored state is one of the network and method that it is meant for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mamlbench.errors import ConfigError, summarize_names


def refuse_foreign_state(state: Mapping[str, Any], expected: Mapping[str, Any], model: Path) -> None:
    """Raise ConfigError if tensors that a method needs are missing, or are not of their shape, kind and finite.

    A stored state may hold more, the moments of the outer optimizer; and float32 for float64, which is converted.

    Args:
        state: tensors by name, as they were read.
        expected: the state of the method before training.
        model: the file, for the message.
    """
    wrong = [
        f"{name} ({problem})"
        for name, value in expected.items()
        if isinstance(value, Tensor) and (problem := _problem(state.get(name), value))
    ]
    if wrong:
        raise ConfigError(
            f"'{model}' is no model of this method and network: {summarize_names(wrong, 3)}. Name another, or train it "
            "again."
        )


def tensor_file(description: Path, name: Any) -> Path:
    """Path of the tensors that a model's JSON file names. Raises ValueError unless they lie beside it."""
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\x00"):
        raise ValueError("its tensors are in no file beside it")
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
