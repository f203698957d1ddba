"""TorchOpt: Ren et al. 2023 (arXiv 2211.06934)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mamlbench.api import Peer, PeerWork


class TorchOpt(Peer):
    """The loop of its MAML example: MetaSGD between two restored states, one task after the other."""

    package = "torchopt"
    call = "MetaSGD.step() between extract_state_dict and recover_state_dict, backward() for each task"

    def iteration(self, work: PeerWork) -> Callable[[], None]:
        if work.first_order:
            raise NotImplementedError("its example has no first-order variant")
        torchopt = importlib.import_module("torchopt")
        inner = torchopt.MetaSGD(work.network, lr=work.inner_lr)

        def iteration() -> None:
            work.network.zero_grad()
            network = torchopt.extract_state_dict(work.network, by="reference")
            optimizer = torchopt.extract_state_dict(inner, by="reference")
            for task in range(work.batch.tasks):
                support, query = ((part.x[task], part.y[task]) for part in (work.batch.support, work.batch.query))
                for _ in range(work.steps):
                    inner.step(work.loss(work.network(support[0]), support[1]))
                work.loss(work.network(query[0]), query[1]).backward()  # type: ignore[no-untyped-call]
                torchopt.recover_state_dict(work.network, network)
                torchopt.recover_state_dict(inner, optimizer)

        return iteration
