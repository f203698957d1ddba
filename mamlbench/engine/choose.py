"""Which strategy runs: the one asked for, or the fastest that can take this algorithm and network."""

from __future__ import annotations

from collections.abc import Callable

from mamlbench.api import Engine
from mamlbench.engine.loop import LoopEngine
from mamlbench.engine.vectorised import VmapEngine
from mamlbench.errors import ConfigError, did_you_mean

STRATEGIES: dict[str, Callable[[], Engine]] = {"vmap": VmapEngine, "loop": LoopEngine}


def choose_engine(name: str, probe: Callable[[Engine], None]) -> tuple[Engine, str]:
    """Return an engine and the reason for it.

    Args:
        name: 'auto', or one of ``STRATEGIES``.
        probe: runs the algorithm once on a small batch with an engine; raises where that engine cannot take it.

    With 'auto' the first strategy whose probe passes is taken; that a faster one could not be is in the reason.
    """
    if name != "auto":
        if name not in STRATEGIES:
            raise ConfigError(f"Unknown engine '{name}'.{did_you_mean(name, ['auto', *STRATEGIES])}")
        return STRATEGIES[name](), "asked for"
    dropped = []
    for strategy, make in STRATEGIES.items():
        engine = make()
        if strategy == "loop":
            break  # the reference: what it cannot run cannot be run, and the run itself says so
        try:
            probe(engine)
        except RuntimeError as error:  # what torch.func raises for an operation it cannot vectorise
            dropped.append(f"{strategy}: {str(error).strip().splitlines()[0]}")
            continue
        return engine, "fastest that can take this algorithm and network"
    return engine, "; ".join(dropped)
