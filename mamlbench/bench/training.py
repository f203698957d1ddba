"""A whole training, iteration by iteration: drawing the episodes, the direction, the outer step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import torch

from mamlbench.api import Dataset, ImageSplit, Model, Peer, PeerTraining
from mamlbench.bench.bench_settings import Setting
from mamlbench.bench.work import INNER_LR, textbook
from mamlbench.errors import ConfigError
from mamlbench.plugin import Plugins, Registry
from mamlbench.run_spec import Folders, Precision, RunSpec
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.plan import plan, request

OUTER_LR = 1e-3


@dataclass(frozen=True)
class TrainingIterations:
    """A setting and an algorithm on a data set.

    Raises DataError where the set is missing.
    """

    setting: Setting
    algorithm: str
    plugins: Plugins
    folders: Folders
    precision: Precision = "float32"

    @property
    def registry(self) -> Registry:
        """Where names come from."""
        return self.plugins.registry

    @cached_property
    def spec(self) -> RunSpec:
        """The run, on the quick preset but for what the setting says."""
        setting = self.setting
        asked = request(
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
        return plan(asked, self.plugins)[0]

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, loaded once for everybody."""
        return load_dataset(self.spec, self.plugins, self.folders)

    def ours(self, engine: str) -> Callable[[], None]:
        """One iteration with an engine."""
        spec = self.spec.model_copy(update={"engine": engine})
        experiment, numbers = build_experiment(spec, self.plugins, self.dataset), count()

        def iteration() -> None:
            number = next(numbers)
            experiment.algorithm.apply(experiment.compute_update(number, experiment.draw(number)))

        return iteration

    def plain(self) -> Callable[[], Any]:
        """There is none."""
        raise NotImplementedError("no plain loop is timed on this")

    def peers(self, peer: Peer) -> Callable[[], None]:
        """One iteration by a peer, which draws its episodes from the same images by its own means."""
        split = self.dataset.splits["train"]
        if not isinstance(split, ImageSplit):
            raise ConfigError(f"a training on '{self.setting.dataset}' has no images for a peer.")
        setting, problem = self.setting, self.dataset.objective(self.setting.ways)
        x = split.normalize_images(split.images[torch.from_numpy(split.rows)])
        y = torch.repeat_interleave(torch.arange(len(split.sizes)), torch.from_numpy(split.sizes))
        network = textbook(self._build, self.registry, setting.backbone, setting.ways)
        return peer.training(
            PeerTraining(
                network=network,
                loss=problem.loss,
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

    def _build(self, outputs: int, **options: Any) -> Model:
        plugin = self.registry.load("backbone", self.setting.backbone)
        shape = self.dataset.splits["train"].input_shape
        return Model(plugin(plugin.Options(**options)).build(shape, outputs))
