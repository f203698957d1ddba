"""Fine-tuning of a trained model on a user's own images, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from mamlbench.api import AdaptedTasks, Algorithm, Classification, Examples, ImageFormat, ImageSplit, Mode, seed_key
from mamlbench.engine import LoopEngine
from mamlbench.errors import ConfigError
from mamlbench.plugin import Plugins
from mamlbench.record import Adaptation, HeldOut, Interval, LabeledImage
from mamlbench.run_spec import Component, Folders, RunSpec
from mamlbench.runner.adapt.user_images import Own, UserImages, find_user_images, read_user_images
from mamlbench.runner.build import algorithm_maker, load_dataset
from mamlbench.runner.checkpoints import ModelArtifact, State, load_model
from mamlbench.runner.device import resolve_device

AT_ONCE = 100
"""Images labeled at a time, where they do not depend on each other."""


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
    """Fine-tune a trained model on the labeled images of a folder, and label the others.

    Images are brought to the size, channels, ink and normalization of the data set that the model was trained on,
    which must be at hand for it. The held-out images are labeled by the untrained network too.

    Args:
        model: a model artifact's folder, its model.json or model.safetensors, or the run's record.
        folder: a folder for each class; 'unlabeled'; 'test' with held-out images, if there are any.
        plugins: where names come from.
        folders: where data lies and prepared data is kept.
        hold_out: images of each class to hold out, where there is no 'test'.
        options: options of the algorithm to change (test_steps, inner_lr, ...).
        mode: how batch norm sees the images that are labeled; 'transductive' lets them see each other.
        device: as for a run.

    Raises ConfigError where the model cannot take the task, DataError where images are missing or damaged.
    """
    own = find_user_images(folder, hold_out)
    artifact = load_model(model)
    spec = _spec_for(artifact.spec, own, options or {}, device)
    dataset = load_dataset(spec, plugins, folders)
    pool, wanted = dataset.splits["test"], dataset.image_format()
    if not isinstance(pool, ImageSplit) or wanted is None or not isinstance(dataset.objective(2), Classification):
        raise ConfigError(f"'{model}' was trained on {spec.dataset.name}, whose tasks are not made of images.")
    algorithm = algorithm_maker(spec, plugins, dataset, dataset.splits)(LoopEngine())
    show = _Show(pool, wanted, torch.device(spec.device))
    labeler = _Labeler(_support(own, show), show, mode)
    untrained = labeler.probabilities(algorithm, own.held_out)
    algorithm.load_state(_fitting(artifact, algorithm, len(own.classes), spec))
    held_out, unlabeled = (labeler.probabilities(algorithm, each) for each in (own.held_out, own.unlabeled))
    return Adaptation(
        model=str(model),
        algorithm=spec.algorithm.name,
        dataset=spec.dataset.name,
        folder=str(folder),
        classes=list(own.classes),
        steps=getattr(algorithm, "test_steps", None),
        mode=mode,
        images=[
            *_described(own, own.given, "given", None),
            *_described(own, own.held_out, "held out", held_out),
            *_described(own, own.unlabeled, "unlabeled", unlabeled),
        ],
        held_out=_score(own.held_out, held_out, untrained) if own.held_out else None,
    )


class _Show:
    """Images as the network is to see them."""

    def __init__(self, pool: ImageSplit, wanted: ImageFormat, device: torch.device) -> None:
        self.pool = pool
        self.wanted = wanted
        self.device = device

    def __call__(self, images: Sequence[Own]) -> Tensor:
        """Float32 ``[n, C, H, W]`` on the device."""
        return self.pool.normalize_images(read_user_images(images, self.wanted)).to(self.device)


class _Labeler:
    """Adapts an algorithm to the support set, and labels images."""

    def __init__(self, support: Examples, show: _Show, mode: Mode) -> None:
        self.support = support
        self.show = show
        self.mode = mode
        key = np.array([seed_key("own images")], np.uint64)
        self.keys = torch.from_numpy(key.view(np.int64)).to(support.y.device)  # [1]

    def probabilities(self, algorithm: Algorithm, images: Sequence[Own]) -> Tensor:
        """Of each class for each image: ``[n, ways]``."""
        if not images:
            return torch.empty(0, algorithm.objective.outputs)
        learner = algorithm.adapt(self.support, self.keys)
        at_once = len(images) if self.mode == "transductive" else AT_ONCE
        parts = [images[first : first + at_once] for first in range(0, len(images), at_once)]
        return torch.cat([self._part(learner, part) for part in parts])

    def _part(self, learner: AdaptedTasks, images: Sequence[Own]) -> Tensor:
        outputs = learner.predict(self.show(images)[None], self.mode)[0]  # [n, ways]
        return outputs.softmax(-1).cpu()


def _spec_for(spec: RunSpec, own: UserImages, options: dict[str, Any], device: str) -> RunSpec:
    """The model's spec with as many ways and shots as the folder has; unequal shots count by their mean."""
    ways = len(own.classes)
    shots = max(1, round(len(own.given) / ways))
    return spec.model_copy(
        update={
            "protocol": spec.protocol.model_copy(update={"ways": ways, "shots": shots}),
            "training": spec.training.model_copy(update={"shots": shots}),
            "algorithm": Component(name=spec.algorithm.name, options={**spec.algorithm.options, **options}),
            "device": str(resolve_device(device)),
        }
    )


def _support(own: UserImages, show: _Show) -> Examples:
    x = show(own.given)[None]  # [1, n, C, H, W]
    return Examples(x, torch.tensor([[each.label for each in own.given]], device=x.device))


def _fitting(artifact: ModelArtifact, algorithm: Algorithm, classes: int, spec: RunSpec) -> State:
    """The trained state, on the device. Raises ConfigError where it is of another shape than the algorithm's."""
    trained = artifact.state  # it has more than an algorithm that was never trained: the moments of its optimizer
    if any(name not in trained or trained[name].shape != value.shape for name, value in algorithm.state().items()):
        ways = artifact.spec.protocol.ways
        if ways != classes:
            raise ConfigError(
                f"This model tells {ways} classes apart, and the folder has {classes}: with {spec.algorithm.name} a "
                f"network has an output for each class from the start. Give it {ways} class folders, or train one with "
                f"'mamlbench run --algo {spec.algorithm.name} --ways {classes}' (or --algo pretrain: any number)."
            )
        raise ConfigError(f"The model does not fit {spec.algorithm.name} as it is installed: train it again.")
    return {name: value.to(torch.device(spec.device)) for name, value in trained.items()}


def _described(own: UserImages, images: Sequence[Own], use: Any, found: Tensor | None) -> list[LabeledImage]:
    return [
        LabeledImage(
            file=each.path.relative_to(own.folder).as_posix(),
            use=use,
            truth=None if each.label is None else own.classes[each.label],
            label=None if found is None else own.classes[int(found[row].argmax())],
            probabilities=[] if found is None else [round(float(value), 6) for value in found[row]],
        )
        for row, each in enumerate(images)
    ]


def _score(images: Sequence[Own], found: Tensor, untrained: Tensor) -> HeldOut:
    truth = torch.tensor([each.label for each in images])
    right, before = (int((each.argmax(-1) == truth).sum()) for each in (found, untrained))
    interval = stats.binomtest(right, len(truth)).proportion_ci(0.95, method="wilson")
    accuracy = Interval(mean=right / len(truth), low=float(interval.low), high=float(interval.high))
    return HeldOut(images=len(truth), right=right, accuracy=accuracy, untrained_right=before)
