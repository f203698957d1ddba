"""The gradient of a chunk of tasks as one ``torch.compile`` region, with ``vmap`` and ``grad`` inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mamlbench.api import EpisodeBatch, InnerLoopMethod, Parameters
from mamlbench.engine.vmap import VmapEngine

_Compiled = Callable[..., tuple[Parameters, Tensor]]


class CompiledEngine(VmapEngine):
    """Vectorizes and compiles the meta-gradient; ``map`` (evaluation) is vectorized and not compiled.

    Compilation takes a minute or two for each shape and needs a C++ compiler on a CPU. Torch's compiler has had wrong
    second derivatives in several releases: use it through ``choose_engine``, which checks it.

    Raises RuntimeError for a network with noise in training, whose key would become a constant of the compiled code.
    """

    def __init__(self, chunk: int = 0) -> None:
        super().__init__(chunk)
        self.name = f"{self.name}+compiled"
        self._compiled: WeakKeyDictionary[InnerLoopMethod, _Compiled] = WeakKeyDictionary()

    def chunk_gradient(
        self, method: InnerLoopMethod, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        if getattr(getattr(method, "model", None), "noisy", False):
            # the layer raises this as well, but torch wraps its message in forty lines
            raise RuntimeError("noise in training cannot be compiled: its key would become a constant")
        compiled = self._compiled.get(method)
        if compiled is None:

            def gradient(meta: Parameters, batch: EpisodeBatch, steps: int) -> Any:
                return self.traceable_gradient(method, meta, batch, steps)

            compiled = self._compiled[method] = torch.compile(gradient, fullgraph=True, dynamic=False)
        return compiled(meta, batch, steps)
