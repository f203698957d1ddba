"""What a model was trained on: hashes of its classes and images in a file beside it; and what a test makes of them."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mamlbench.atomic_write import write_atomically
from mamlbench.record.array_file import UNREADABLE, pack_arrays, unpack_arrays
from mamlbench.record.file_hashes import results_written
from mamlbench.record.record_part import RecordPart
from mamlbench.run_spec.outside_text import escaped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "training-data.npz"
HASH_BYTES = 8
"""Of each class and image: among a million training and a million test images, two others are equal by chance with a
probability of 1 in 18 million."""

SeenAnswer = Literal["seen", "not seen", "unknown"]


class TrainingData(RecordPart):
    """The classes and images that a model was trained on, of one data set."""

    file: str = Field(description="hashes of classes and images (``TrainingHashes``), relative to the record or model")
    sha256: str
    """of the file, as 64 hexadecimal digits"""
    dataset: str
    """registered name"""
    classes: int = Field(ge=0)
    """number of classes, without rotations"""
    images: int = Field(ge=0)
    """number of images, without rotations"""
    rotations: Literal["none", "episode", "classes"] = Field(
        "none", description="whether images were rotated by multiples of 90 degrees, and a rotated class was a class"
    )
    input_shape: tuple[int, ...] = ()
    """of one image, ``(C, H, W)``"""
    names_identify: bool = Field(
        False, description="whether a name of a class means the same class wherever this data set lies"
    )

    @property
    def outputs(self) -> int:
        """Number of classes that training distinguished, with rotations that were classes."""
        return self.classes * (4 if self.rotations == "classes" else 1)


class SeenTestData(RecordPart):
    """Whether the network was trained on classes or images of the test split."""

    answer: SeenAnswer
    """'not seen' if no class and no image is known to have been in training, and everything in training is known"""
    classes: int = Field(0, ge=0, description="test classes that were in training")
    images: int = Field(0, ge=0, description="test images that were in training")
    reasons: list[str] = Field(default_factory=list, description="what was seen or is unknown, each without full stop")


@dataclass(frozen=True)
class TrainingHashes:
    """Hashes of the classes and images that a model was trained on."""

    names: NDArray[np.uint64]
    """``[classes]``, of their names."""
    classes: NDArray[np.uint64]
    """``[classes]``, of their images, in whichever order these are."""
    sizes: NDArray[np.int64]
    """``[classes]``, number of images."""
    images: NDArray[np.uint64]
    """``[images]``, class after class, of the pixels before rotation and normalization."""


def hash_name(name: str) -> int:
    """Hash the name of a class; one name may have two encodings, depending on the file system."""
    return _first_bytes(hashlib.sha256(unicodedata.normalize("NFC", name).encode()))


def hash_class(image_hashes: NDArray[np.uint64]) -> int:
    """Hash a class by the hashes of its images ``[n]``."""
    import numpy as np

    return _first_bytes(hashlib.sha256(np.sort(image_hashes).astype("<u8").tobytes()))


def _first_bytes(digest: hashlib._Hash) -> int:
    return int.from_bytes(digest.digest()[:HASH_BYTES], "little")


def write_hashes(folder: Path, hashes: TrainingHashes) -> tuple[str, str]:
    """Write the hashes into a run's folder of artifacts; return the file's name and its SHA-256.

    Raises UnwrittenResultError if they cannot be written.
    """
    content = pack_arrays(asdict(hashes))
    with results_written(folder / NAME, "What the model was trained on", folder):
        write_atomically(folder / NAME, content)
    return NAME, hashlib.sha256(content).hexdigest()


def read_hashes(path: Path, data: TrainingData) -> TrainingHashes | str:
    """Read the hashes that ``data`` describes; if they cannot be read, why, without a full stop.

    Args:
        path: their file.
        data: from the record or model that names it.
    """
    import numpy as np

    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != data.sha256:
            return f"'{path.name}' is not the file that its model names: its SHA-256 differs"
        arrays = unpack_arrays(content)
        names, classes, images = (arrays[name].astype(np.uint64) for name in ("names", "classes", "images"))
        sizes = arrays["sizes"].astype(np.int64)
        if (len(names), len(classes), len(sizes)) != (data.classes,) * 3 or len(images) != data.images:
            return f"'{path.name}' has hashes of other numbers of classes or images than its model"
        if sizes.ndim != 1 or sizes.min(initial=0) < 0 or int(sizes.sum()) != len(images):
            return f"'{path.name}' has classes whose sizes do not add up"
    except UNREADABLE as error:
        return f"'{path.name}' cannot be read ({escaped(str(error) or type(error).__name__, 200)})"
    return TrainingHashes(names, classes, sizes, images)
