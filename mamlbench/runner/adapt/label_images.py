"""Labels a user's images with an adapted model; images that cannot be decoded are left out and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import AdaptedTasks, Algorithm, Examples, ImageFormat, Mode, Normalization, seed_key
from mamlbench.errors import DataError, summarize_names
from mamlbench.nn.precision import parameter_dtype
from mamlbench.record.model_inputs import ModelInputs
from mamlbench.run_spec import RunSpec
from mamlbench.runner.adapt.user_images import UserImage, UserImages, decode_user_images
from mamlbench.runner.model_inputs import image_format_of, normalization_of

BATCH_SIZE = 100
"""Number of images labeled at a time, if their labels do not depend on each other."""


@dataclass
class ImageReader:
    """Reads images in the form of a model's inputs.

    Args:
        inputs: what the model's inputs are.
        spec: of the adaptation: device and precision.
        damaged: names of the images that could not be decoded, with the reasons.
    """

    inputs: ModelInputs
    spec: RunSpec
    damaged: dict[str, None] = field(default_factory=dict)

    @property
    def image_format(self) -> ImageFormat:
        """Size, channels and polarity that images are converted to."""
        return image_format_of(self.inputs)

    def pixels(self, images: Sequence[UserImage]) -> tuple[list[UserImage], Tensor]:
        """Return the images that can be decoded, and their pixels: uint8 ``[n, C, H, W]``."""
        decoded = decode_user_images(images, self.image_format)
        self.damaged |= dict.fromkeys(decoded.damaged)
        return [images[row] for row in decoded.rows], decoded.pixels

    def __call__(self, images: Sequence[UserImage]) -> tuple[list[UserImage], Tensor]:
        """Return the images that can be decoded, and the model's inputs ``[n, C, H, W]`` on the run's device."""
        readable, pixels = self.pixels(images)
        x = pixels.to(self.spec.device).to(torch.float32).mul_(self.inputs.scale)
        normalization: Normalization | None = normalization_of(self.inputs)
        x = x if normalization is None else normalization(x)
        return readable, x.to(parameter_dtype(self.spec.precision))

    def notes(self) -> list[str]:
        """Name the images that are left out."""
        if not self.damaged:
            return []
        count = f"{len(self.damaged):,} damaged image{'s are' if len(self.damaged) > 1 else ' is'}"
        return [f"{count} left out: {summarize_names(self.damaged)}"]


def read_support(images: UserImages, reader: ImageReader) -> tuple[list[UserImage], Examples]:
    """Return the images that the model adapts to, and the support set: x ``[1, n, C, H, W]``, y ``[1, n]``.

    Raises DataError if a class has no image that can be decoded.
    """
    readable, x = reader(images.support)
    present = {image.label for image in readable}
    if empty := [name for number, name in enumerate(images.classes) if number not in present]:
        raise DataError(
            f"No image of {summarize_names(empty)} in '{images.folder}' can be decoded: "
            f"{summarize_names(reader.damaged)}."
        )
    return readable, Examples(x[None], torch.tensor([[image.label for image in readable]], device=x.device))


class ImageLabeler:
    """Adapts an algorithm to the support set, and labels images."""

    def __init__(self, support: Examples, reader: ImageReader, mode: Mode) -> None:
        self.support = support
        self.reader = reader
        self.mode = mode
        key = np.array([seed_key("own images")], np.uint64)
        self.keys = torch.from_numpy(key.view(np.int64)).to(support.y.device)  # [1]

    def label(self, algorithm: Algorithm, images: Sequence[UserImage]) -> tuple[list[UserImage], Tensor]:
        """Return the images that can be decoded, and the probability of each class for each: ``[n, ways]``."""
        readable: list[UserImage] = []
        probabilities = [torch.empty(0, algorithm.objective.outputs)]
        if not images:
            return readable, probabilities[0]
        adapted = algorithm.adapt(self.support, self.keys)
        size = len(images) if self.mode == "transductive" else BATCH_SIZE
        for first in range(0, len(images), size):
            batch, x = self.reader(images[first : first + size])
            if batch:
                readable += batch
                probabilities.append(self._predict(adapted, x))
        return readable, torch.cat(probabilities)

    def _predict(self, adapted: AdaptedTasks, x: Tensor) -> Tensor:
        outputs = adapted.predict(x[None], self.mode)[0]  # [n, ways]
        return outputs.softmax(-1).cpu()
