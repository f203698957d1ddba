"""How per-task functions run over a batch of tasks. Every strategy gives the same numbers at a different cost."""

from mamlbench.engine.allocator import keep_memory
from mamlbench.engine.choose import EXAMPLE_BYTES_AT_ONCE, Choice, Workload, choose_engine
from mamlbench.engine.compiled import CompiledEngine
from mamlbench.engine.loop import LoopEngine
from mamlbench.engine.names import PATTERN, STRATEGIES, make_engine
from mamlbench.engine.remembered import Remembered
from mamlbench.engine.vectorised import VmapEngine

__all__ = [
    "EXAMPLE_BYTES_AT_ONCE",
    "PATTERN",
    "STRATEGIES",
    "Choice",
    "CompiledEngine",
    "LoopEngine",
    "Remembered",
    "VmapEngine",
    "Workload",
    "choose_engine",
    "keep_memory",
    "make_engine",
]
