"""Whether a network was trained on test classes or images: hashes of the training data, compared with the test split.

Images are compared by their pixels as the network sees them, before normalization, and in all four rotations if those
of training or of the test are rotated; so neither the name of a file nor of a class hides a copy. A copy that was
scaled or compressed again is another image. A class is the same if an image of it is, or if it has the same name in a
data set whose names identify classes (one with published splits).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mamlbench.api import Dataset, ImageSplit, TaskSplit
from mamlbench.data.encoded_split import images_of
from mamlbench.data.image_cache import image_hashes
from mamlbench.data.resized_split import ResizedSplit
from mamlbench.errors import summarize_names
from mamlbench.record import SeenTestData, TrainingData
from mamlbench.record.training_data import TrainingHashes, hash_class, hash_name

IMAGES_AT_ONCE = 1000
"""Images that are rotated at a time."""
NAMED = 5
"""Most classes that a reason names."""


@dataclass(frozen=True)
class TrainedOn:
    """The training data of a network."""

    data: TrainingData
    """``file`` and ``sha256`` are empty until the hashes are written"""
    hashes: TrainingHashes


def trained_on(dataset: Dataset, name: str) -> TrainedOn | None:
    """Hash the training split of the data set that is registered as ``name``; None if it does not consist of images."""
    split = images_of(dataset.splits["train"])
    if not isinstance(split, ImageSplit):
        return None
    images = _short(split.image_hashes)
    of_class = np.split(images, split.offsets[1:-1])
    hashes = TrainingHashes(
        np.array([hash_name(name) for name in split.class_names], np.uint64),
        np.array([hash_class(of_one) for of_one in of_class], np.uint64),
        split.sizes,
        images,
    )
    data = TrainingData(
        file="",
        sha256="",
        dataset=name,
        classes=len(split.class_names),
        images=len(images),
        rotations=split.rotations,
        input_shape=split.input_shape,
        names_identify=dataset.published_classes() is not None,
    )
    return TrainedOn(data, hashes)


def is_other_data(model: TrainedOn | str | None, own: TrainedOn | None) -> bool:
    """Whether a model is known to be trained on other images than a data set's training split."""
    if not isinstance(model, TrainedOn):
        return False
    return own is None or not np.array_equal(model.hashes.images, own.hashes.images)


def seen_by_training(trained: TrainedOn | str, test: TaskSplit, name: str) -> SeenTestData:
    """Compare what a network was trained on with a test split.

    Args:
        trained: what it was trained on, or why that is unknown.
        test: what it is tested on.
        name: registered name of its data set.
    """
    if isinstance(trained, str):
        return SeenTestData(answer="unknown", reasons=[trained])
    test = images_of(test)
    if not isinstance(test, ImageSplit):
        return SeenTestData(answer="unknown", reasons=["the test data are no images, which alone are compared"])
    if (shape := trained.data.input_shape) != test.input_shape:
        reason = f"images of {list(test.input_shape)} cannot be compared with those of {list(shape)} in training"
        return SeenTestData(answer="unknown", reasons=[reason])
    if isinstance(test, ResizedSplit):
        reason = f"test images were resized from {list(test.images.shape[1:])}, and a resized copy is another image"
        return SeenTestData(answer="unknown", reasons=[reason])
    is_seen = _seen_images(trained, test)
    numbers = np.repeat(np.arange(len(test.class_names)), test.sizes)
    by_image = np.bincount(numbers[is_seen], minlength=len(test.class_names)) > 0
    by_name = np.isin(np.array([hash_name(entry) for entry in test.class_names], np.uint64), trained.hashes.names)
    if trained.data.names_identify and trained.data.dataset == name:
        by_image |= by_name
    return _answer(test, by_image, by_name & ~by_image, int(is_seen.sum()))


def seen_by_declaration(classes: Collection[str], names: Sequence[str]) -> SeenTestData:
    """Answer for weights from elsewhere, by those of the test classes' names that they were trained on."""
    seen = [name for name in names if name in set(classes)]
    if not seen:
        return SeenTestData(answer="not seen")
    reason = f"its weights from elsewhere were trained on {_count(len(seen), len(names), 'test classes', seen)}"
    return SeenTestData(answer="seen", classes=len(seen), reasons=[reason])


def combined(answers: Sequence[SeenTestData]) -> SeenTestData:
    """Join the answers of several parts of a network, one or more: what one part has seen, the network has."""
    kinds = [part.answer for part in answers]
    return SeenTestData(
        answer="seen" if "seen" in kinds else "unknown" if "unknown" in kinds else "not seen",
        classes=max(part.classes for part in answers),
        images=max(part.images for part in answers),
        reasons=list(dict.fromkeys(reason for part in answers for reason in part.reasons)),
    )


def _answer(test: ImageSplit, is_seen: NDArray[np.bool_], only_name: NDArray[np.bool_], images: int) -> SeenTestData:
    """Make the answer from the classes that were seen ``[C]`` and those of which only the name was."""
    names, total = np.array(test.class_names, object), len(test.class_names)
    seen, same_name = int(is_seen.sum()), int(only_name.sum())
    reasons = []
    if seen:
        of_images = f" and {images:,} of {len(test.rows):,} test images" if images else ""
        reasons = [f"it was trained on {_count(seen, total, 'test classes', names[is_seen])}{of_images}"]
    elif same_name:
        some = _count(same_name, total, "test classes", names[only_name])
        reasons = [f"{some} have the names of training classes and other images"]
    answer = "seen" if seen else "unknown" if same_name else "not seen"
    return SeenTestData.model_validate({"answer": answer, "classes": seen, "images": images, "reasons": reasons})


def _count(number: int, total: int, what: str, names: Sequence[str] | NDArray[np.object_]) -> str:
    return f"{number:,} of {total:,} {what} ({summarize_names(list(names), NAMED)})"


def _seen_images(trained: TrainedOn, test: ImageSplit) -> NDArray[np.bool_]:
    """Return for each image of the test split ``[images]`` whether it was in training."""
    seen: NDArray[np.bool_] = np.isin(_short(test.image_hashes), trained.hashes.images)
    if trained.data.rotations == test.rotations == "none":
        return seen
    for first in range(0, len(test.rows), IMAGES_AT_ONCE):
        part = slice(first, first + IMAGES_AT_ONCE)
        pixels = test.images[torch.from_numpy(test.rows[part])].cpu()  # [n, C, H, W]
        if test.mapped_file is not None:
            test.mapped_file.count_read(pixels.nbytes)
        for turns in (1, 2, 3):
            rotated = torch.rot90(pixels, turns, (2, 3)).contiguous().numpy()
            seen[part] |= np.isin(_short(image_hashes(rotated)), trained.hashes.images)
    return seen


def _short(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each hash ``[n, 16]``."""
    return np.ascontiguousarray(hashes).view("<u8")[:, 0].astype(np.uint64)
