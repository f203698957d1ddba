"""Engines by name: ``loop``, ``vmap``, ``vmap[8]``, each with ``+recomputed`` and, vectorised, ``+compiled``."""

from __future__ import annotations

import re

from mamlbench.api import Engine
from mamlbench.engine.compiled import CompiledEngine
from mamlbench.engine.loop import LoopEngine
from mamlbench.engine.one_task import Differentiation
from mamlbench.engine.vectorised import VmapEngine
from mamlbench.errors import ConfigError, did_you_mean

STRATEGIES = (
    "vmap",
    "vmap[8]",
    "loop",
    "vmap+recomputed",
    "loop+recomputed",
    "vmap+compiled",
    "vmap+recomputed+compiled",
)
"""Names to suggest; any number may stand in the brackets."""

_NAME = re.compile(
    r"(?P<tasks>loop|vmap)(\[(?P<chunk>[1-9]\d*)\])?(?P<recomputed>\+recomputed)?(?P<compiled>\+compiled)?"
)


def is_engine(name: str) -> bool:
    """Whether there is an engine of that name."""
    match = _NAME.fullmatch(name)
    return match is not None and not (match["tasks"] == "loop" and (match["chunk"] or match["compiled"]))


def make_engine(name: str) -> Engine:
    """Build the engine of that name. Raises ConfigError for a name that says nothing."""
    match = _NAME.fullmatch(name)
    if match is None or not is_engine(name):
        raise ConfigError(f"Unknown engine '{name}'.{did_you_mean(name, ['auto', *STRATEGIES])}")
    differentiation: Differentiation = "recomputed" if match["recomputed"] else "stored"
    if match["tasks"] == "loop":
        return LoopEngine(differentiation)
    kind = CompiledEngine if match["compiled"] else VmapEngine
    return kind(int(match["chunk"] or 0), differentiation)
