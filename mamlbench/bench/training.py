"""Iterations of a training: drawing the episodes, computing and applying the outer update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import torch

from mamlbench.api import Dataset, ImageSplit, Network, Peer, PeerTraining
from mamlbench.bench.bench_settings import BenchSetting
from mamlbench.bench.work import INNER_LR
from mamlbench.errors import ConfigError
from mamlbench.plugin import Plugins, Registry
from mamlbench.run_spec import Folders, Precision, RunSpec
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.plan import make_request, plan

OUTER_LR = 1e-3


@dataclass(frozen=True)
class TrainingIterations:
    """Training iterations of an algorithm on a data set.

    Raises DataError if the data set is missing.
    """

    setting: BenchSetting
    algorithm: str
    plugins: Plugins
    folders: Folders
    precision: Precision = "float32"

    @property
    def registry(self) -> Registry:
        """The registry of the plugins."""
        return self.plugins.registry

    @cached_property
    def spec(self) -> RunSpec:
        """The spec of the run: the quick preset, changed by the setting."""
        setting = self.setting
        run_request = make_request(
            algorithms=(self.algorithm,),
            dataset=setting.dataset,
            backbone=setting.backbone,
            device="cpu",
            precision=self.precision,
            meta_batch_size=setting.tasks,
            ways=setting.ways,
            shots=setting.shots,
            queries=setting.queries,
            options={"inner_lr": INNER_LR, "adapt_norm": True, "outer_lr": OUTER_LR, "train_steps": setting.steps},
        )
        return plan(run_request, self.plugins)[0]

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, loaded once and shared by all competitors."""
        return load_dataset(self.spec, self.plugins, self.folders)

    def with_engine(self, engine: str) -> Callable[[], None]:
        """Return a function that trains one iteration with an engine."""
        spec = self.spec.model_copy(update={"engine": engine})
        experiment, indices = build_experiment(spec, self.plugins, self.dataset), count()

        def iteration() -> None:
            index = next(indices)
            experiment.algorithm.apply(experiment.compute_update(index, experiment.training_batch(index)))

        return iteration

    def with_plain_loop(self) -> Callable[[], Any]:
        """Raise NotImplementedError: there is no plain loop for a training."""
        raise NotImplementedError("no plain loop is timed on this")

    def with_peer(self, peer: Peer) -> Callable[[], None]:
        """Return a function that trains one iteration with a peer, which draws its own episodes of the same images."""
        split = self.dataset.splits["train"]
        if not isinstance(split, ImageSplit):
            raise ConfigError(f"The data set '{self.setting.dataset}' has no images that a peer could train on.")
        setting, objective = self.setting, self.dataset.objective(self.setting.ways)
        x = split.normalize_images(split.images[torch.from_numpy(split.rows)])
        y = torch.repeat_interleave(torch.arange(len(split.sizes)), torch.from_numpy(split.sizes))
        network = self._network(setting.ways).requires_grad_(True)
        return peer.training(
            PeerTraining(
                network=network,
                loss=objective.loss,
                x=x,
                y=y,
                rotations=split.rotations != "none",
                ways=setting.ways,
                shots=setting.shots,
                queries=setting.queries,
                tasks=setting.tasks,
                inner_lr=INNER_LR,
                outer_lr=OUTER_LR,
                steps=setting.steps,
                first_order=self.algorithm == "fomaml",
            )
        )

    def _network(self, outputs: int) -> Network:
        """The network as its author wrote it, which is what a peer's user has."""
        plugin = self.registry.load("backbone", self.setting.backbone)
        shape = self.dataset.splits["train"].input_shape
        return plugin(plugin.Options()).build(shape, outputs)  # type: ignore[no-any-return]
