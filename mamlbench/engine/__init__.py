"""How per-task functions run over a batch of tasks. Every strategy gives the same numbers at a different cost."""

from mamlbench.engine.allocator import keep_memory
from mamlbench.engine.choose import STRATEGIES, choose_engine
from mamlbench.engine.loop import LoopEngine
from mamlbench.engine.vectorised import VmapEngine

__all__ = ["STRATEGIES", "LoopEngine", "VmapEngine", "choose_engine", "keep_memory"]
