"""learn2learn: Arnold et al. 2020 (arXiv 2008.12284)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import TensorDataset

from mamlbench.api import Peer, PeerTraining, PeerWork


class Learn2Learn(Peer):
    """The loop of its documentation: clone, adapt, backward, one task after the other."""

    package = "learn2learn"
    call = "algorithms.MAML: clone(), adapt() and backward() for each task (training: data.Taskset.sample() too)"

    def iteration(self, work: PeerWork) -> Callable[[], None]:
        maml = self._maml(work)

        def iteration() -> None:
            maml.zero_grad()
            for task in range(work.batch.tasks):
                support, query = ((part.x[task], part.y[task]) for part in (work.batch.support, work.batch.query))
                self._backward(maml, work, support, query)

        return iteration

    def training(self, work: PeerTraining) -> Callable[[], None]:
        """Its Omniglot example, with the transforms of its benchmark and images that are in memory already."""
        maml, tasks, per_class = self._maml(work), self._tasks(work), work.shots + work.queries
        outer = torch.optim.Adam(maml.parameters(), work.outer_lr)
        adaptation = (torch.arange(work.ways)[:, None] * per_class + torch.arange(work.shots)).flatten()
        evaluation = (torch.arange(work.ways)[:, None] * per_class + torch.arange(work.shots, per_class)).flatten()

        def iteration() -> None:
            outer.zero_grad()
            for _ in range(work.tasks):
                x, y = tasks.sample()
                self._backward(maml, work, (x[adaptation], y[adaptation]), (x[evaluation], y[evaluation]))
            for parameter in maml.parameters():
                parameter.grad.mul_(1.0 / work.tasks)
            outer.step()

        return iteration

    def _tasks(self, work: PeerTraining) -> Any:
        data = importlib.import_module("learn2learn.data")
        images = data.MetaDataset(TensorDataset(work.x, work.y))
        transforms = [
            data.transforms.FusedNWaysKShots(images, n=work.ways, k=work.shots + work.queries),
            data.transforms.LoadData(images),
            data.transforms.RemapLabels(images),
            data.transforms.ConsecutiveLabels(images),
        ]
        if work.rotations:
            turns = importlib.import_module("learn2learn.vision.transforms")
            transforms.append(turns.RandomClassRotation(images, [0.0, 90.0, 180.0, 270.0]))
        return data.Taskset(images, task_transforms=transforms)

    def _maml(self, work: PeerWork | PeerTraining) -> Any:
        algorithms = importlib.import_module("learn2learn.algorithms")
        return algorithms.MAML(work.network, lr=work.inner_lr, first_order=work.first_order)

    def _backward(self, maml: Any, work: PeerWork | PeerTraining, support: Any, query: Any) -> None:
        learner = maml.clone()
        for _ in range(work.steps):
            learner.adapt(work.loss(learner(support[0]), support[1]))
        work.loss(learner(query[0]), query[1]).backward()  # type: ignore[no-untyped-call]
