"""Adapts a trained model to a user's own images, and labels them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import (
    AdaptedTasks,
    Algorithm,
    Classification,
    Dataset,
    Examples,
    ImageFormat,
    ImageSplit,
    Mode,
    seed_key,
)
from mamlbench.engine import LoopEngine
from mamlbench.errors import ConfigError, DivergedError
from mamlbench.nn.precision import parameter_dtype
from mamlbench.plugin import Plugins
from mamlbench.record import Adaptation, HeldOut, Interval, LabeledImage, SeenTestData
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.run_spec.bounds import MOST
from mamlbench.runner.adapt.user_images import UserImage, UserImages, find_user_images, read_user_images
from mamlbench.runner.build import algorithm_maker, load_dataset
from mamlbench.runner.checkpoints import ModelArtifact, State, load_model
from mamlbench.runner.component_options import complete_component
from mamlbench.runner.device import resolve_device
from mamlbench.runner.divergence import suggest
from mamlbench.runner.isolation import isolated
from mamlbench.runner.model_state import foreign_tensors, refuse_foreign_state
from mamlbench.runner.seen_by_network import seen_by_network

BATCH_SIZE = 100
"""Number of images labeled at a time, if their labels do not depend on each other."""


def adapt_model(
    model: Path,
    folder: Path,
    plugins: Plugins,
    folders: Folders,
    *,
    hold_out: int = 0,
    options: dict[str, Any] | None = None,
    mode: Mode = "inductive",
    device: str = "auto",
) -> Adaptation:
    """Adapt a trained model to the labeled images of a folder, and label the others.

    Images are converted to the size, channels, polarity and normalization of the data set that the model was trained
    on, which must be available. The untrained network labels the held-out images too, for comparison.

    Args:
        model: the folder of a model artifact, its model.json or model.safetensors, or the record of a run.
        folder: it holds one folder per class, 'unlabeled', and optionally 'test' with held-out images.
        plugins: the loaded plugins.
        folders: folders of raw and of prepared data.
        hold_out: number of images per class to hold out, if there is no folder 'test'.
        options: options of the algorithm to change (test_steps, inner_lr, ...).
        mode: how batch norm treats the images to be labeled; with 'transductive' their labels depend on each other.
        device: as for a run.

    Raises ConfigError if the model does not fit the task, DataError if images are missing or damaged, DivergedError if
    the predictions of the adapted network are not finite.
    """
    if not 0 <= hold_out <= MOST:
        raise ConfigError(f"hold_out is a number of images per class, 0 or more, not {hold_out}.")
    images = find_user_images(folder, hold_out)
    artifact = load_model(model)
    spec = _adaptation_spec(artifact.spec, images, plugins, options or {}, device)
    dataset = load_dataset(spec, plugins, folders)
    split, image_format = dataset.splits["test"], dataset.image_format()
    if not isinstance(split, ImageSplit) or image_format is None or not _classifies(dataset):
        raise ConfigError(f"'{model}' was trained on {spec.dataset.name}, whose tasks are not made of images.")
    with isolated(spec):
        algorithm = algorithm_maker(spec, plugins, dataset, dataset.splits)(LoopEngine())
        reader = _ImageReader(split, image_format, spec)
        labeler = _Labeler(_support_set(images, reader), reader, mode)
        untrained = labeler.probabilities(algorithm, images.held_out)
        algorithm.load_state(_trained_state(artifact, algorithm, len(images.classes), spec, model))
        held_out = labeler.probabilities(algorithm, images.held_out)
        unlabeled = labeler.probabilities(algorithm, images.unlabeled)
    if not bool(torch.cat([held_out, unlabeled]).isfinite().all()):
        suggestion = suggest(spec.algorithm.options, "inner")
        raise DivergedError(f"The predictions of the adapted network are not finite: {suggestion}.")
    return Adaptation(
        model=str(model),
        algorithm=spec.algorithm.name,
        dataset=spec.dataset.name,
        folder=str(folder),
        classes=list(images.classes),
        steps=getattr(algorithm, "test_steps", None),
        mode=mode,
        images=[
            *_labeled_images(images, images.support, "support", None),
            *_labeled_images(images, images.held_out, "held out", held_out),
            *_labeled_images(images, images.unlabeled, "unlabeled", unlabeled),
        ],
        held_out=_score(images.held_out, held_out, untrained) if images.held_out else None,
        seen=_seen_images(images, image_format, spec, plugins, artifact) if images.held_out else None,
        notes=list(images.notes),
    )


def _seen_images(
    images: UserImages, image_format: ImageFormat, spec: RunSpec, plugins: Plugins, artifact: ModelArtifact
) -> SeenTestData:
    """Say whether the network was trained on held-out images or their classes."""
    held_out = sorted(images.held_out, key=lambda image: image.label or 0)
    labels, counts = np.unique([image.label for image in held_out], return_counts=True)
    names = tuple(images.classes[label] for label in labels)
    split = ImageSplit(read_user_images(held_out, image_format), np.append(0, np.cumsum(counts)), names)
    return seen_by_network(spec, plugins, split, "", artifact.trained_on)


def _classifies(dataset: Dataset) -> bool:
    return isinstance(dataset.objective(2), Classification)


class _ImageReader:
    """Reads images in the format and normalization of a data set."""

    def __init__(self, split: ImageSplit, image_format: ImageFormat, spec: RunSpec) -> None:
        self.split = split
        self.image_format = image_format
        self.spec = spec

    def __call__(self, images: Sequence[UserImage]) -> Tensor:
        """Return ``[n, C, H, W]`` on the run's device and in its precision."""
        normalized = self.split.normalize_images(read_user_images(images, self.image_format))
        return normalized.to(self.spec.device, parameter_dtype(self.spec.precision))


class _Labeler:
    """Adapts an algorithm to the support set, and labels images."""

    def __init__(self, support: Examples, reader: _ImageReader, mode: Mode) -> None:
        self.support = support
        self.reader = reader
        self.mode = mode
        key = np.array([seed_key("own images")], np.uint64)
        self.keys = torch.from_numpy(key.view(np.int64)).to(support.y.device)  # [1]

    def probabilities(self, algorithm: Algorithm, images: Sequence[UserImage]) -> Tensor:
        """Return the probability of each class for each image: ``[n, ways]``."""
        if not images:
            return torch.empty(0, algorithm.objective.outputs)
        adapted = algorithm.adapt(self.support, self.keys)
        size = len(images) if self.mode == "transductive" else BATCH_SIZE
        batches = [images[first : first + size] for first in range(0, len(images), size)]
        return torch.cat([self._predict(adapted, batch) for batch in batches])

    def _predict(self, adapted: AdaptedTasks, images: Sequence[UserImage]) -> Tensor:
        outputs = adapted.predict(self.reader(images)[None], self.mode)[0]  # [n, ways]
        return outputs.softmax(-1).cpu()


def _adaptation_spec(
    spec: RunSpec, images: UserImages, plugins: Plugins, options: dict[str, Any], device: str
) -> RunSpec:
    """The model's spec with the ways and shots of the folder; of unequal shots, their mean."""
    algorithm = plugins.registry.load("algorithm", spec.algorithm.name)
    ways = len(images.classes)
    shots = max(1, round(len(images.support) / ways))
    return spec.model_copy(
        update={
            "protocol": spec.protocol.model_copy(update={"ways": ways, "shots": shots}),
            "training": spec.training.model_copy(update={"shots": shots}),
            "algorithm": complete_component(
                "algorithm", algorithm, spec.algorithm.name, spec.algorithm.options, options
            ),
            "device": str(resolve_device(device)),
        }
    )


def _support_set(images: UserImages, reader: _ImageReader) -> Examples:
    x = reader(images.support)[None]  # [1, n, C, H, W]
    return Examples(x, torch.tensor([[image.label for image in images.support]], device=x.device))


def _trained_state(artifact: ModelArtifact, algorithm: Algorithm, classes: int, spec: RunSpec, model: Path) -> State:
    """The trained state, on the device. Raises ConfigError if it is not one of this algorithm."""
    expected, ways = algorithm.state(), artifact.spec.protocol.ways
    if ways != classes and foreign_tensors(artifact.state, expected):
        raise ConfigError(
            f"This model distinguishes {ways} classes, and the folder has {classes}: with {spec.algorithm.name} "
            f"the number of classes is fixed in training. Use {ways} class folders, or train a model with "
            f"'mamlbench run --algo {spec.algorithm.name} --ways {classes}' (or --algo pretrain: any number)."
        )
    refuse_foreign_state(artifact.state, expected, model)
    return artifact.state_for(spec)


def _labeled_images(
    folder: UserImages, images: Sequence[UserImage], use: Any, probabilities: Tensor | None
) -> list[LabeledImage]:
    """Describe images with their labels; ``probabilities`` ``[n, ways]`` is None for the support set."""
    return [
        LabeledImage(
            file=image.path.relative_to(folder.folder).as_posix(),
            use=use,
            truth=None if image.label is None else folder.classes[image.label],
            label=None if probabilities is None else folder.classes[int(probabilities[row].argmax())],
            probabilities=[] if probabilities is None else [round(float(value), 6) for value in probabilities[row]],
        )
        for row, image in enumerate(images)
    ]


def _count_right(truth: Tensor, probabilities: Tensor) -> int:
    """Count images ``[n]`` whose label is right; a prediction ``[n, ways]`` that is not finite is wrong."""
    return int(((probabilities.argmax(-1) == truth) & probabilities.isfinite().all(-1)).sum())


def _score(images: Sequence[UserImage], trained: Tensor, untrained: Tensor) -> HeldOut:
    """Count correct labels of both networks, from probabilities ``[n, ways]``."""
    truth = torch.tensor([image.label for image in images])
    right, untrained_right = map(partial(_count_right, truth), (trained, untrained))
    from scipy import stats  # takes a second to import, and few adaptations have held-out images

    interval = stats.binomtest(right, len(truth)).proportion_ci(0.95, method="wilson")
    accuracy = Interval(mean=right / len(truth), low=float(interval.low), high=float(interval.high))
    return HeldOut(images=len(truth), right=right, accuracy=accuracy, untrained_right=untrained_right)
