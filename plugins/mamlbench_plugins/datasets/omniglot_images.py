"""Drawings of Omniglot: decoded, hashed and resized to 28 x 28."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mamlbench.api import (
    CachedImages,
    DamagedImagesError,
    DataError,
    ProgressCallback,
    no_progress,
    summarize_names,
    with_progress,
)
from mamlbench_plugins.datasets.archive_entries import UNREADABLE
from mamlbench_plugins.datasets.omniglot_files import OmniglotFiles, OmniglotHalf

FILE_SIDE, SIDE = 105, 28
"""Height and width in pixels, of the files and of the prepared images."""

CONTENT_HASH = "SHA-256 of the drawings"
EVALUATION = "evaluation alphabets"
"""Keys of ``CachedImages.metadata``."""

BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Exceptions that Pillow raises for images of far too many pixels; the second is a warning, which may be an error."""

Images = NDArray[np.uint8]

Resampling = Literal["lanczos", "nearest"]
"""How drawings become smaller: smoothed, or by taking one pixel of about fourteen."""


def prepare(
    files: OmniglotFiles, progress: ProgressCallback = no_progress, resampling: Resampling = "lanczos"
) -> CachedImages:
    """Decode and resize every drawing: uint8 ``[images, 1, 28, 28]``, ink 255 on 0, classes "Alphabet/characterNN".

    ``metadata`` holds the alphabets of the evaluation half (a JSON list), and a hash over class names, file names and
    original pixels in sorted order, which is equal for archives and folders and for any order of listing.
    Raises DataError if files are damaged (the message names all of them), or a character is in both halves.
    """
    drawings = [half.drawings() for half in files.halves]
    _refuse_shared_characters(files, *map(_classes, drawings))
    bits = _read_all(files.halves, drawings, progress)
    names = sorted(bits, key=lambda name: name.rpartition("/"))  # by class, then by file
    classes = [(name, len(list(group))) for name, group in groupby(names, lambda name: name.rpartition("/")[0])]
    images = resize([bits[name] for name in names], resampling)
    return CachedImages(
        torch.from_numpy(images)[:, None],
        np.cumsum([0, *(size for _, size in classes)], dtype=np.int64),
        tuple(name for name, _ in classes),
        {
            CONTENT_HASH: _content_hash((name, bits[name]) for name in names),
            EVALUATION: json.dumps(sorted({name.split("/")[0] for name in drawings[1]})),
        },
    )


def _classes(names: Iterable[str]) -> set[str]:
    return {name.rpartition("/")[0] for name in names}


def _refuse_shared_characters(files: OmniglotFiles, background: set[str], evaluation: set[str]) -> None:
    if shared := sorted(background & evaluation):
        raise DataError(
            f"Characters in both '{files.background.path}' and '{files.evaluation.path}': {summarize_names(shared)}. "
            "One may be a copy of the other: download both again."
        )


def _read_all(
    halves: Iterable[OmniglotHalf], drawings: Iterable[list[str]], progress: ProgressCallback
) -> dict[str, bytes]:
    """Decode every drawing; return its bits by name."""
    bits: dict[str, bytes] = {}
    damaged: list[str] = []
    for half, names in zip(halves, drawings, strict=True):
        reported = with_progress(names, f"Omniglot, {half.path.stem}", len(names), progress)
        damaged += _read_half(half, reported, bits)
    if damaged:
        raise DamagedImagesError(
            damaged,
            "drawing",
            "extract or download Omniglot again (https://github.com/brendenlake/omniglot)",
        )
    return bits


def _read_half(half: OmniglotHalf, names: Iterable[str], bits: dict[str, bytes]) -> list[str]:
    """Add the drawings of a half to ``bits``; return the names of damaged ones with the reasons."""
    damaged = []
    with half.reader() as read:
        for name in names:
            try:
                bits[name] = decode(read(name))
            except (*UNREADABLE, *BOMBS, ValueError, SyntaxError) as error:  # the last is Pillow's for a broken PNG
                damaged.append(f"'{half.path / name}' ({_reason(error)})")
    return sorted(damaged)


def _reason(error: Exception) -> str:
    return "no image" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__


def decode(data: bytes) -> bytes:
    """Decode a PNG file to 105 x 105 bits, eight per byte, each row padded to 14 bytes; the background is 1.

    Raises whatever Pillow raises for damaged files, and ValueError for another size.
    """
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if image.size != (FILE_SIDE, FILE_SIDE):
            raise ValueError(f"{image.width} x {image.height} pixels instead of {FILE_SIDE} x {FILE_SIDE}")
        if image.mode == "1":
            return image.tobytes()
        return image.convert("L").convert("1", dither=Image.Dither.NONE).tobytes()  # a file saved by another program


def resize(bits: list[bytes], resampling: Resampling = "lanczos") -> Images:
    """Resize decoded drawings: uint8 ``[drawings, 28, 28]``, ink 255 on 0.

    'lanczos' is Pillow's filter on gray pixels, with smooth edges. MAML's script requests it for 1-bit images, others
    request no filter, and then Pillow takes the nearest pixel: 'nearest' is black and white, as their images are.
    """
    resize_part = _resize_part if resampling == "lanczos" else _nearest_part
    parts = [bits[start : start + 1000] for start in range(0, len(bits), 1000)]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as executor:  # Pillow and numpy release the interpreter lock
        return np.concatenate(list(executor.map(resize_part, parts)))


def _resize_part(bits: list[bytes]) -> Images:
    """Resize drawings stacked into one tall image, first along rows, then along columns.

    A call that keeps the height filters along rows only, so drawings do not mix.
    """
    pixels = _pixels(bits).reshape(-1, FILE_SIDE)
    narrow = _filter_rows(pixels).reshape(-1, FILE_SIDE, SIDE).swapaxes(1, 2)  # [drawings, 28, 105], x before y
    small = _filter_rows(narrow.reshape(-1, FILE_SIDE)).reshape(-1, SIDE, SIDE).swapaxes(1, 2)
    return 255 - small


def _nearest_part(bits: list[bytes]) -> Images:
    """The pixel that contains the center of each pixel of the small image, as Pillow chooses it."""
    nearest = ((np.arange(SIDE) + 0.5) * (FILE_SIDE / SIDE)).astype(np.int64)
    return 255 - _pixels(bits)[:, nearest[:, None], nearest]


def _pixels(bits: list[bytes]) -> Images:
    """Unpack decoded drawings: uint8 ``[drawings, 105, 105]``, ink 0 on 255."""
    rows = np.frombuffer(b"".join(bits), np.uint8).reshape(-1, FILE_SIDE, (FILE_SIDE + 7) // 8)
    return np.unpackbits(rows, axis=-1, count=FILE_SIDE) * np.uint8(255)


def _filter_rows(rows: Images) -> Images:
    return np.asarray(Image.fromarray(rows).resize((SIDE, len(rows)), Image.Resampling.LANCZOS))


def _content_hash(drawings: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, bits in drawings:
        digest.update(f"{name}\n".encode())
        digest.update(bits)
    return digest.hexdigest()
