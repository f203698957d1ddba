"""Omniglot's drawings: decoded, hashed and shrunk to 28 x 28."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mamlbench.api import CachedImages, ProgressCallback, no_progress, with_progress
from mamlbench.errors import DamagedImagesError, DataError, summarize_names
from mamlbench_plugins.datasets.omniglot_files import UNREADABLE, Half, OmniglotFiles

DRAWN, SIDE = 105, 28
"""Height and width in pixels, of the files and of the prepared images."""

CONTENT_HASH = "SHA-256 of the drawings"
EVALUATION = "evaluation alphabets"
"""Keys of ``CachedImages.metadata``."""

Images = NDArray[np.uint8]


def prepare(files: OmniglotFiles, progress: ProgressCallback = no_progress) -> CachedImages:
    """Decode and shrink every drawing: uint8 ``[images, 1, 28, 28]``, ink 255 on 0, classes "Alphabet/characterNN".

    ``facts`` keep the alphabets of the evaluation half (a JSON list), and a hash over class names, file names and
    pixels as drawn, in sorted order: equal for archives and folders, whatever order they are listed in.
    Raises DataError where files are damaged (all are named), or where a character is in both halves.
    """
    listed = [half.drawings() for half in files.halves]
    _refuse_repeats(files, *map(_classes, listed))
    bits = _read_all(files.halves, listed, progress)
    names = sorted(bits, key=lambda name: name.rpartition("/"))  # by class, then by file
    classes = [(name, len(list(members))) for name, members in groupby(names, lambda name: name.rpartition("/")[0])]
    images = shrink([bits[name] for name in names])
    return CachedImages(
        torch.from_numpy(images)[:, None],
        np.cumsum([0, *(size for _, size in classes)], dtype=np.int64),
        tuple(name for name, _ in classes),
        {
            CONTENT_HASH: _content_hash((name, bits[name]) for name in names),
            EVALUATION: json.dumps(sorted({name.split("/")[0] for name in listed[1]})),
        },
    )


def _classes(names: Iterable[str]) -> set[str]:
    return {name.rpartition("/")[0] for name in names}


def _refuse_repeats(files: OmniglotFiles, background: set[str], evaluation: set[str]) -> None:
    if repeats := sorted(background & evaluation):
        raise DataError(
            f"Characters in both '{files.background.path}' and '{files.evaluation.path}': {summarize_names(repeats)}. "
            "One seems to be a copy of the other: download both again."
        )


def _read_all(halves: Iterable[Half], listed: Iterable[list[str]], progress: ProgressCallback) -> dict[str, bytes]:
    """Decoded bits of every drawing by name."""
    bits: dict[str, bytes] = {}
    damaged: list[str] = []
    for half, names in zip(halves, listed, strict=True):
        told = with_progress(names, f"Omniglot, {half.path.stem}", len(names), progress)
        damaged += _read_half(half, told, bits)
    if damaged:
        raise DamagedImagesError(
            damaged,
            "drawing",
            "extract or download Omniglot again (https://github.com/brendenlake/omniglot)",
        )
    return bits


def _read_half(half: Half, names: Iterable[str], bits: dict[str, bytes]) -> list[str]:
    """Add the drawings of a half to ``bits``; return what is wrong with the others."""
    damaged = []
    with half.reader() as read:
        for name in names:
            try:
                bits[name] = decode(read(name))
            except (*UNREADABLE, ValueError, SyntaxError) as error:  # SyntaxError is Pillow's for a broken PNG
                damaged.append(f"'{half.path / name}' ({_reason(error)})")
    return sorted(damaged)


def _reason(error: Exception) -> str:
    return "no image" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__


def decode(data: bytes) -> bytes:
    """Turn a PNG file into its 105 x 105 bits, eight to a byte, each row filled up to 14 bytes; paper is 1.

    Raises what Pillow raises on damaged files, and ValueError for another size.
    """
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if image.size != (DRAWN, DRAWN):
            raise ValueError(f"{image.width} x {image.height} pixels instead of {DRAWN} x {DRAWN}")
        if image.mode == "1":
            return image.tobytes()
        return image.convert("L").convert("1", dither=Image.Dither.NONE).tobytes()  # saved again by some other tool


def shrink(bits: list[bytes]) -> Images:
    """Shrink decoded drawings as Pillow's LANCZOS filter does in gray: uint8 ``[drawings, 28, 28]``, ink 255 on 0.

    MAML's published script asks for LANCZOS, too, but on 1-bit images, where Pillow takes the nearest pixel instead;
    so does Reptile's code. Their images are black and white, these are smooth.
    """
    parts = [bits[start : start + 1000] for start in range(0, len(bits), 1000)]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # Pillow and numpy let go of the interpreter lock
        return np.concatenate(list(pool.map(_shrink_part, parts)))


def _shrink_part(bits: list[bytes]) -> Images:
    """All at once, piled up: a call that keeps the height filters rows only, and no row sees another drawing."""
    rows = np.frombuffer(b"".join(bits), np.uint8).reshape(-1, (DRAWN + 7) // 8)
    paper = np.unpackbits(rows, axis=-1, count=DRAWN) * np.uint8(255)  # [drawings * 105, 105]
    narrow = _filter_rows(paper).reshape(-1, DRAWN, SIDE).swapaxes(1, 2)  # [drawings, 28, 105], x before y
    small = _filter_rows(narrow.reshape(-1, DRAWN)).reshape(-1, SIDE, SIDE).swapaxes(1, 2)
    return 255 - small


def _filter_rows(rows: Images) -> Images:
    return np.asarray(Image.fromarray(rows).resize((SIDE, len(rows)), Image.Resampling.LANCZOS))


def _content_hash(drawings: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, bits in drawings:
        digest.update(f"{name}\n".encode())
        digest.update(bits)
    return digest.hexdigest()
