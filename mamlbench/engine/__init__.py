"""How per-task functions run over a batch of tasks: loop, vmap, compiled; each gives the same numbers.

``meta_gradients.py`` differentiates through the inner steps, ``equivalence.py`` checks an engine against the loop,
``autotune.py`` chooses one for a run.
"""

from mamlbench.engine.autotune import MAX_EXAMPLE_BYTES, Choice, OnTrial, Workload, choose_engine, no_trial
from mamlbench.engine.autotune_cache import AutotuneCache
from mamlbench.engine.compiled import CompiledEngine
from mamlbench.engine.loop import LoopEngine
from mamlbench.engine.malloc import keep_memory
from mamlbench.engine.registry import PATTERN, STRATEGIES, make_engine
from mamlbench.engine.vmap import VmapEngine

__all__ = [
    "MAX_EXAMPLE_BYTES",
    "PATTERN",
    "STRATEGIES",
    "AutotuneCache",
    "Choice",
    "CompiledEngine",
    "LoopEngine",
    "OnTrial",
    "VmapEngine",
    "Workload",
    "choose_engine",
    "keep_memory",
    "make_engine",
    "no_trial",
]
