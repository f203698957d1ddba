"""learn2learn: Arnold et al. 2020 (arXiv 2008.12284)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mamlbench.api import Peer, PeerWork


class Learn2Learn(Peer):
    """The loop of its documentation: clone, adapt, backward, one task after the other."""

    package = "learn2learn"
    call = "algorithms.MAML: clone(), adapt() and backward() for each task"

    def iteration(self, work: PeerWork) -> Callable[[], None]:
        algorithms = importlib.import_module("learn2learn.algorithms")
        maml = algorithms.MAML(work.network, lr=work.inner_lr, first_order=work.first_order)

        def iteration() -> None:
            maml.zero_grad()
            for task in range(work.batch.tasks):
                support, query = ((part.x[task], part.y[task]) for part in (work.batch.support, work.batch.query))
                learner = maml.clone()
                for _ in range(work.steps):
                    learner.adapt(work.loss(learner(support[0]), support[1]))
                work.loss(learner(query[0]), query[1]).backward()  # type: ignore[no-untyped-call]

        return iteration
