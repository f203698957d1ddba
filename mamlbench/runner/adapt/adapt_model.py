"""Adapts a trained model to a user's own images, and labels them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import Algorithm, Classification, ImageSplit, Mode
from mamlbench.engine import LoopEngine
from mamlbench.errors import ConfigError, DivergedError
from mamlbench.plugin import Plugins
from mamlbench.record import Adaptation, HeldOut, Interval, LabeledImage, SeenTestData
from mamlbench.record.model_inputs import ModelInputs
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.run_spec.bounds import MOST
from mamlbench.runner.adapt.corrections import read_corrections, with_corrections
from mamlbench.runner.adapt.fit_head import fit_head
from mamlbench.runner.adapt.label_images import ImageLabeler, ImageReader, read_support
from mamlbench.runner.adapt.user_images import UserImage, UserImages, find_user_images
from mamlbench.runner.build import load_dataset, method_maker
from mamlbench.runner.checkpoints import ModelArtifact, load_model
from mamlbench.runner.component_options import complete_component
from mamlbench.runner.device import resolve_device
from mamlbench.runner.divergence import suggest
from mamlbench.runner.isolation import isolated
from mamlbench.runner.model_inputs import model_inputs
from mamlbench.runner.seen_by_network import seen_by_network

UNSURE_BELOW = 0.6
"""Probability of a label below which it is marked as unsure, unless the user says another."""


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
    corrections: Path | None = None,
    unsure_below: float = UNSURE_BELOW,
) -> Adaptation:
    """Adapt a trained model to the labeled images of a folder, and label the others.

    Images are converted to the size, channels, polarity and normalization that the model was trained with; they are in
    its JSON file, and its training data are not needed. Of a model that an earlier release wrote they are. An image
    that cannot be decoded is left out, and named. The untrained network labels the held-out images too, for comparison.

    Args:
        model: the folder of a model artifact, its model.json or model.safetensors, or the record of a run.
        folder: it holds one folder per class, 'unlabeled', and optionally 'test' with held-out images.
        plugins: the loaded plugins.
        folders: folders of raw and of prepared data.
        hold_out: number of images per class to hold out, if there is no folder 'test'.
        options: options of the algorithm to change (test_steps, inner_lr, ...).
        mode: how batch norm treats the images to be labeled; with 'transductive' their labels depend on each other.
        device: as for a run.
        corrections: table of an earlier adaptation with the right classes in its column ``correction``; these images
            are learned from too.
        unsure_below: probability of a label below which it is marked.

    Raises ConfigError if the model does not fit the task, DataError if images are missing or none of a class can be
    decoded, DivergedError if the predictions of the adapted network are not finite.
    """
    if not 0 <= hold_out <= MOST:
        raise ConfigError(f"hold_out is a number of images per class, 0 or more, not {hold_out}.")
    if not 0 <= unsure_below <= 1:
        raise ConfigError(f"unsure_below is a probability, 0 to 1, not {unsure_below}.")
    images = find_user_images(folder, hold_out)
    if corrections is not None:
        images = with_corrections(images, read_corrections(corrections), corrections)
    artifact = load_model(model)
    spec = _adaptation_spec(artifact.spec, images, plugins, options or {}, device)
    inputs = artifact.inputs or _inputs_of_data(spec, plugins, folders, model)
    with isolated(spec):
        algorithm = _build(spec, inputs, plugins)
        classes = artifact.spec.protocol.ways, len(images.classes)
        fitted = fit_head(artifact.state, algorithm.state(), classes, spec, model)  # before an image is decoded
        reader = ImageReader(inputs, spec)
        support, examples = read_support(images, reader)
        labeler = ImageLabeler(examples, reader, mode)
        _, untrained = labeler.label(algorithm, images.held_out)
        algorithm.load_state(artifact.with_state(fitted.state).state_for(spec))
        held_out, on_held_out = labeler.label(algorithm, images.held_out)
        unlabeled, on_unlabeled = labeler.label(algorithm, images.unlabeled)
    if not bool(torch.cat([on_held_out, on_unlabeled]).isfinite().all()):
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
        head=fitted.head,
        unsure_below=unsure_below,
        images=[
            *_labeled_images(images, support, "support", None),
            *_labeled_images(images, held_out, "held out", on_held_out),
            *_labeled_images(images, unlabeled, "unlabeled", on_unlabeled),
        ],
        held_out=_score(held_out, on_held_out, untrained) if held_out else None,
        seen=_seen_images(images, held_out, reader, plugins, artifact) if held_out else None,
        notes=[*images.notes, *reader.notes()],
    )


def _inputs_of_data(spec: RunSpec, plugins: Plugins, folders: Folders, model: Path) -> ModelInputs:
    """What the inputs are of a model that does not say it, from the data that it was trained on."""
    inputs = model_inputs(load_dataset(spec, plugins, folders))
    if inputs is None:
        raise ConfigError(f"'{model}' was trained on {spec.dataset.name}, whose tasks are not made of images.")
    return inputs


def _build(spec: RunSpec, inputs: ModelInputs, plugins: Plugins) -> Algorithm:
    """The algorithm in its initial state, for the classes of the folder."""
    shape = inputs.channels, inputs.image_size, inputs.image_size
    objectives = Classification(spec.protocol.ways), Classification(inputs.outputs)
    return method_maker(spec, plugins, shape, *objectives)(LoopEngine())


def _seen_images(
    images: UserImages, held_out: Sequence[UserImage], reader: ImageReader, plugins: Plugins, artifact: ModelArtifact
) -> SeenTestData:
    """Say whether the network was trained on held-out images or their classes."""
    by_class = sorted(held_out, key=lambda image: image.label or 0)
    labels, counts = np.unique([image.label for image in by_class], return_counts=True)
    names = tuple(images.classes[label] for label in labels)
    split = ImageSplit(reader.pixels(by_class)[1], np.append(0, np.cumsum(counts)), names)
    return seen_by_network(reader.spec, plugins, split, "", artifact.trained_on)


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


def _labeled_images(
    folder: UserImages, images: Sequence[UserImage], use: Any, probabilities: Tensor | None
) -> list[LabeledImage]:
    """Describe images with their labels; ``probabilities`` ``[n, ways]`` is None for the support set."""
    return [
        LabeledImage(
            file=image.path.relative_to(folder.folder).as_posix(),
            use=use,
            truth=None if image.label is None else folder.classes[image.label],
            corrected=image.corrected,
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
