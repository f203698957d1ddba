"""The features of a model that mamlbench trained, as a frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mamlbench.api import Backbone, BatchStats, Encoder, ImageSplit, Model, Network
from mamlbench.data.encoded_split import network_images
from mamlbench.errors import ConfigError, summarize_names
from mamlbench.nn.batch_norm import running_statistics
from mamlbench.plugin import Plugins
from mamlbench.runner.checkpoints import ModelArtifact, load_model
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.initial_model import FEATURES
from mamlbench.runner.model_state import foreign_tensors

BATCHES, BATCH = 20, 64
"""Batches of training images, and their size, that batch-norm statistics are the mean of."""


class TrainedFeatures(nn.Module):
    """The features of a trained network, normalized by fixed statistics: ``[n, C, H, W]`` to ``[n, d]``."""

    def __init__(self, model: Model, state: dict[str, Tensor], statistics: BatchStats) -> None:
        super().__init__()
        self.model, self.state, self.statistics = model, state, statistics

    def forward(self, x: Tensor) -> Tensor:
        with running_statistics(self.statistics):
            return self.model.features(self.state, x)


def trained_encoder(path: Path, plugins: Plugins, train: ImageSplit, device: torch.device) -> Encoder:
    """Read a model and make an encoder of its features.

    Its networks have no running statistics of batch norm: they are measured on images of the training split, once.

    Args:
        path: the model's record or folder.
        plugins: the loaded plugins.
        train: images to measure on, of the data set that is encoded; they are normalized as it normalizes them.
        device: where the statistics are measured.

    Raises ConfigError if there is no such model, or it has no features that can be used alone.
    """
    artifact = load_model(path)
    shape = train.input_shape if isinstance(artifact.trained_on, str) else artifact.trained_on.data.input_shape
    network = _network(artifact, path, plugins, shape).to(device)
    names = [name for name, _ in network.named_parameters() if name.startswith("features.")]
    state = {name: artifact.state[f"meta/{name}"].to(device, torch.float32) for name in names}
    model = Model(network)
    with torch.no_grad():
        parameters = {**state, **{name: value for name, value in network.named_parameters() if name not in state}}
        batches = [model.statistics(parameters, x) for x in _training_images(train, shape, device)]
    statistics = [
        (torch.stack([mean for mean, _ in layer]).mean(0), torch.stack([variance for _, variance in layer]).mean(0))
        for layer in zip(*batches, strict=True)
    ]
    about = f"{artifact.spec.backbone.name} of {artifact.spec.algorithm.name}, batch norm by training images"
    return Encoder(TrainedFeatures(model, state, statistics), shape, train.normalization, about)


def _network(artifact: ModelArtifact, path: Path, plugins: Plugins, shape: tuple[int, ...]) -> Network:
    component = artifact.spec.backbone
    plugin: type[Backbone] = plugins.registry.load("backbone", component.name)
    backbone = plugin(stored_options("backbone", plugin, component))
    if backbone.frozen:
        raise ConfigError(f"The network of '{path}' is frozen itself ({component.name}): name its encoder instead.")
    with torch.random.fork_rng(devices=[]):
        network = backbone.build(shape, 1)
    features = {f"meta/{name}": value for name, value in network.named_parameters() if name.startswith("features.")}
    wrong = foreign_tensors(artifact.state, features)
    if wrong or not any(name.startswith(FEATURES) for name in artifact.state):
        raise ConfigError(
            f"'{path}' has no features that could be used alone ({summarize_names(wrong, 3) or 'none'}): use a "
            "model of another method."
        )
    return network


def _training_images(train: ImageSplit, shape: tuple[int, ...], device: torch.device) -> Iterator[Tensor]:
    """Yield batches of images spread evenly over the split, as the network sees them: ``[n, *shape]``."""
    count = min(BATCHES * BATCH, len(train.rows))
    rows = train.rows[np.linspace(0, len(train.rows) - 1, count).astype(np.int64)]
    # strided, so that every batch is spread over all classes
    batches = max(1, count // BATCH)
    for first in range(batches):
        yield network_images(train, rows[first::batches], 0, shape, normalization=train.normalization, device=device)
