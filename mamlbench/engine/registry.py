"""Engines by name: ``loop``, ``vmap`` or ``vmap[8]``, alone or with ``+remat``; vectorized ones also ``+compiled``."""

from __future__ import annotations

import re

from mamlbench.api import Engine
from mamlbench.engine.compiled import CompiledEngine
from mamlbench.engine.loop import LoopEngine
from mamlbench.engine.meta_gradients import Differentiation
from mamlbench.engine.vmap import VmapEngine
from mamlbench.errors import ConfigError, did_you_mean

STRATEGIES = ("vmap", "vmap[8]", "loop", "vmap+remat", "vmap[8]+remat", "loop+remat", "vmap+compiled")
"""Names to suggest; the brackets take any number of tasks."""

_LOOP = re.compile(r"loop(?:\+(?P<way>remat))?")
_VMAP = re.compile(r"vmap(?:\[(?P<chunk>[1-9]\d*)\])?(?:\+(?P<way>remat|compiled))?")
PATTERN = re.sub(r"\?P<\w+>", "", f"{_LOOP.pattern}|{_VMAP.pattern}")
"""Matches every engine name; for JSON schemas, whose regular expressions have no named groups."""


def is_engine(name: str) -> bool:
    """Whether there is an engine of that name."""
    return bool(_LOOP.fullmatch(name) or _VMAP.fullmatch(name))


def make_engine(name: str) -> Engine:
    """Build the engine of that name. Raises ConfigError if there is none."""
    if match := _LOOP.fullmatch(name):
        return LoopEngine(_differentiation(match))
    if match := _VMAP.fullmatch(name):
        chunk = int(match["chunk"] or 0)
        return CompiledEngine(chunk) if match["way"] == "compiled" else VmapEngine(chunk, _differentiation(match))
    raise ConfigError(f"Unknown engine '{name}'.{did_you_mean(name, ['auto', *STRATEGIES])}")


def _differentiation(match: re.Match[str]) -> Differentiation:
    return "remat" if match["way"] == "remat" else "stored"
