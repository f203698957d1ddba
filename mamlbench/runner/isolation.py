"""Gives every run the same global state of Python, numpy and torch, and puts the caller's back afterwards.

Nothing of mamlbench draws from a global generator or changes a global setting. A plugin, or a notebook's earlier cell,
may: what one run leaves behind must not reach the next.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from mamlbench.api import seed_key
from mamlbench.errors import ConfigError
from mamlbench.run_spec import RunSpec

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Variable without which cuBLAS is not deterministic; it is read once, when a process first multiplies on a GPU."""

WORKSPACES = (":4096:8", ":16:8")
"""Its values with which cuBLAS is deterministic."""

_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any], Any], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
        False,  # it chooses algorithms by their time
    ),
)
"""How a setting is read and changed, and its value in a run."""


@contextmanager
def isolated(spec: RunSpec) -> Iterator[None]:
    """Run with torch's default settings, generators seeded by the spec, and deterministic algorithms if it asks so.

    Afterwards everything is as it was before: settings, number of threads and the state of all generators.

    Raises ConfigError if the spec asks for deterministic algorithms on a GPU that this process has used without.
    """
    device = torch.device(spec.device)
    if spec.deterministic:
        prepare_cublas(device)
    if "torch._dynamo" in sys.modules:  # it counts compilations of all runs, and refuses the ninth of the same function
        torch.compiler.reset()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        for read, change, value in _SETTINGS:
            stack.callback(change, read())
            change(value)
        stack.callback(_use_deterministic, *_deterministic())
        _use_deterministic(spec.deterministic, False, True)
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        stack.enter_context(torch.random.fork_rng(devices=_gpus(device)))
        seed_generators(spec)
        yield


def _gpus(device: torch.device) -> list[int]:
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


def seed_generators(spec: RunSpec) -> None:
    """Seed the global generators of Python, numpy and torch from the training seed.

    Also called when training begins: how many engines were tried before depends on a clock and a cache.
    """
    seed = int(seed_key("global generators", spec.seed))
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)


def _deterministic() -> tuple[bool, bool, bool]:
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(), fill


def _use_deterministic(enabled: bool, warn_only: bool, fill: bool) -> None:
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def prepare_cublas(device: torch.device) -> None:
    """Make cuBLAS deterministic if the device is a GPU. Raises ConfigError if this process has used it without."""
    if device.type != "cuda" or os.environ.get(WORKSPACE) in WORKSPACES:
        return
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise ConfigError(
            f"Deterministic runs on a GPU need {WORKSPACE}={WORKSPACES[0]} before its first use in a process: set it "
            "before Python starts, or use the command line."
        )
    os.environ[WORKSPACE] = WORKSPACES[0]
