"""A data set as a frozen encoder sees it: features of all images, computed once."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import (
    Algorithm,
    Backbone,
    Dataset,
    Encoder,
    ImageSplit,
    ProgressCallback,
    no_progress,
    with_progress,
)
from mamlbench.data.encoded_split import EncodedSplit, FeatureCost, network_images, with_features
from mamlbench.errors import ConfigError, ConfigProblem
from mamlbench.plugin import Plugins
from mamlbench.record import FeaturePass
from mamlbench.run_spec import NO_CORRUPTION, Component, RunSpec
from mamlbench.runner.checkpoints import load_model
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.frozen.feature_cache import FeaturesOfSplit, cached_features
from mamlbench.runner.frozen.trained_encoder import trained_encoder

IMAGES_AT_ONCE = 32
"""Images that pass through the encoder together."""

FORMAT = 1
"""Of the files; another one is computed again."""


def backbone_of_weights(component: Component, plugins: Plugins) -> Backbone | None:
    """Make the backbone of a spec if it is of the kind that can be frozen; None: its weights come from the seed."""
    plugin: type[Backbone] = plugins.registry.load("backbone", component.name)
    if plugin.encoder is Backbone.encoder and plugin.trained_model is None:
        return None
    return plugin(stored_options("backbone", plugin, component))


def hash_of_weights(backbone: Backbone | None) -> str:
    """Return the SHA-256 of the weights that a network is frozen with, or begins with; empty: it has none of its own.

    Raises ConfigError if they cannot be read.
    """
    if backbone is None:
        return ""
    return backbone.weights_sha256() if backbone.trained_model is None else load_model(backbone.trained_model).sha256


def encoded_dataset(
    dataset: Dataset,
    spec: RunSpec,
    plugins: Plugins,
    cache: Path,
    progress: ProgressCallback = no_progress,
) -> Dataset:
    """Return the features of a data set if the network of a spec is frozen, from the cache if it has them.

    The data set itself is returned if the network is not frozen.

    Args:
        dataset: loaded.
        spec: the run.
        plugins: the loaded plugins.
        cache: folder of prepared data.
        progress: called while features are computed.

    Raises ConfigError if the data set has no images or the spec changes them, or if the weights cannot be read.
    """
    backbone = backbone_of_weights(spec.backbone, plugins)
    if backbone is None:
        return dataset
    _refuse_other_weights(spec, backbone)
    if not backbone.frozen:
        return dataset
    splits = _image_splits(dataset, spec)
    coder = _Coder(spec, backbone, plugins, splits["train"], cache, progress)
    coded = {name: coder.features(name, split) for name, split in splits.items()}
    center = coded["train"].features.mean((0, 1)) if backbone.centered else None  # [d]
    encoded = {
        name: EncodedSplit.of(splits[name], features if center is None else features - center, cost)
        for name, (features, cost) in coded.items()
    }
    return with_features(dataset, encoded)


def refuse_on_features(dataset: Dataset, spec: RunSpec, algorithm: Algorithm) -> None:
    """Raise ConfigError if a method is to learn or adapt features that were computed once."""
    if not isinstance(dataset.splits["train"], EncodedSplit):
        return
    name, network = spec.algorithm.name, spec.backbone.name
    if algorithm.adapts_features:
        raise ConfigError(
            f"Algorithm '{name}' tunes the features, and those of '{network}' were computed once: run the network "
            "itself with -o backbone.cached=false, or start from a model of mamlbench by --init."
        )
    if spec.training.iterations and not algorithm.meta:
        raise ConfigError(f"Algorithm '{name}' learns nothing beside the features of '{network}': use --iterations 0.")


def feature_pass(dataset: Dataset) -> FeaturePass | None:
    """Describe the pass of an encoder over all images of a data set; None if there was none."""
    splits = [split for split in dataset.splits.values() if isinstance(split, EncodedSplit)]
    if not splits:
        return None
    return FeaturePass(
        images=sum(split.features.shape[0] * split.features.shape[1] for split in splits),
        width=splits[0].features.shape[-1],
        wall=sum(split.cost.wall for split in splits),
        device=sum(split.cost.device for split in splits),
        cached=all(split.cost.cached for split in splits),
    )


def _image_splits(dataset: Dataset, spec: RunSpec) -> dict[str, ImageSplit]:
    splits = {name: split for name, split in dataset.splits.items() if isinstance(split, ImageSplit)}
    if len(splits) < len(dataset.splits) or dataset.kind in ("regression", "reinforcement"):
        text = f"Backbone '{spec.backbone.name}' is an encoder of images, and '{spec.dataset.name}' has none."
        raise ConfigError(ConfigProblem(text, "backbone"))
    if spec.protocol.corrupt != NO_CORRUPTION:
        text = f"Backbone '{spec.backbone.name}' computes its features of every image once: leave out --corrupt."
        raise ConfigError(ConfigProblem(text, "corrupt"))
    return splits


def _refuse_other_weights(spec: RunSpec, backbone: Backbone) -> None:
    if spec.weights_sha256 and hash_of_weights(backbone) != spec.weights_sha256:
        raise ConfigError(
            f"The weights of backbone '{spec.backbone.name}' are not those of the run any more: their SHA-256 differs."
        )


@dataclass
class _Coder:
    """Computes the features of splits, or reads them from the cache."""

    spec: RunSpec
    backbone: Backbone
    plugins: Plugins
    train: ImageSplit
    cache: Path
    progress: ProgressCallback
    _encoder: Encoder | None = None

    def features(self, name: str, split: ImageSplit) -> FeaturesOfSplit:
        title = f"Encoding {self.spec.dataset.name}, {name}"
        path = self.cache / f"features-{self._key(split)}.safetensors"
        waiting = partial(self._waiting, len(split.rows))
        return cached_features(path, lambda: self._compute(split, title), waiting)

    def _waiting(self, images: int, holder: str) -> None:
        self.progress(f"Waiting for {holder}, which encodes the same images", 0, images)

    def _key(self, split: ImageSplit) -> str:
        """Hash of everything that the features depend on: weights, options, images, how they are shown."""
        normalized = [one.normalization for one in (split, self.train)]
        weights = self.spec.weights_sha256 or hash_of_weights(self.backbone)
        statistics = self.train.hash if self.backbone.trained_model is not None else ""
        parts = (FORMAT, weights, self.backbone.encoding(), split.hash, split.rotations, normalized, statistics)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def _compute(self, split: ImageSplit, title: str) -> FeaturesOfSplit:
        device = torch.device(self.spec.device)
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        wall, used = time.perf_counter(), clock()
        encoder = self._encoder = self._encoder or self._make_encoder(device)
        turns = range(1 if split.rotations == "none" else 4)
        features = torch.stack([torch.cat(self._parts(encoder, split, turn, title, device)) for turn in turns])
        return FeaturesOfSplit(features, FeatureCost(time.perf_counter() - wall, clock() - used))

    def _make_encoder(self, device: torch.device) -> Encoder:
        model = self.backbone.trained_model
        if model is not None:
            return trained_encoder(model, self.plugins, self.train, device)
        return self.backbone.encoder(self.train.input_shape)

    def _parts(self, encoder: Encoder, split: ImageSplit, turn: int, title: str, device: torch.device) -> list[Tensor]:
        """Features of all images of the split, turned by so many quarters, a few at a time: each ``[n, d]``."""
        network = encoder.network.to(device).eval()
        starts = range(0, len(split.rows), IMAGES_AT_ONCE)
        parts = []
        with torch.no_grad():
            for start in with_progress(starts, title, len(starts), self.progress):
                rows = np.ascontiguousarray(split.rows[start : start + IMAGES_AT_ONCE])
                x = network_images(split, rows, turn, encoder.shape, normalization=encoder.normalization, device=device)
                parts.append(network(x).flatten(1).float().cpu())
        return parts
