"""Image files: decoded and resized, many at once; every damaged one is named."""

from __future__ import annotations

import io
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mamlbench.errors import DamagedError

Fit = Literal["stretch", "crop"]
"""What becomes of an image that is not square: stretched to a square, or its middle cut out."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
"""Names of files that are taken for images."""

PART = 32
"""Images that a worker takes at a time."""

REPORT_SECONDS = 0.2
"""Time between two reports of progress."""

Item = TypeVar("Item")
Pixels = NDArray[np.uint8]
ProgressCallback = Callable[[str, int, int], None]
"""Told a title, how many are done, and of how many."""


@dataclass(frozen=True)
class ImageFile:
    """An image still to be decoded.

    Args:
        row: its row in the set.
        name: a name its owner knows, for messages.
        content: the file's bytes, or why there are none.
    """

    row: int
    name: str
    content: bytes | Exception


@dataclass(frozen=True)
class ImageFormat:
    """What images are made into: uint8 ``[channels, image_size, image_size]``.

    ``polarity``: None for photographs. Drawings are brought to 1 (bright strokes on dark paper) or 0; an
    image's own polarity is read off its border, which is taken for paper. What is transparent is white.
    """

    image_size: int
    channels: Literal[1, 3] = 3
    fit: Fit = "stretch"
    polarity: Literal[0, 1] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (self.channels, self.image_size, self.image_size)

    def decode(self, content: bytes) -> Pixels:
        """Decode a file of any format that Pillow reads, upright, resized by LANCZOS: uint8 ``[C, H, W]``.

        Raises whatever Pillow raises on damaged files.
        """
        with Image.open(io.BytesIO(content)) as image:
            return self.convert(image)

    def convert(self, image: Image.Image) -> Pixels:
        """Bring an image into this format: uint8 ``[C, image_size, image_size]``."""
        turned = _on_white(ImageOps.exif_transpose(image)).convert("RGB" if self.channels == 3 else "L")
        size = (self.image_size, self.image_size)
        if turned.size != size:
            if self.fit == "crop":
                turned = ImageOps.fit(turned, size, Image.Resampling.LANCZOS)
            else:
                turned = turned.resize(size, Image.Resampling.LANCZOS)
        pixels = np.asarray(turned).reshape(self.image_size, self.image_size, self.channels)  # [side, side, C]
        if self.polarity is not None and (_border(pixels) > 127) == (self.polarity == 1):
            pixels = 255 - pixels
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _border(pixels: Pixels) -> float:
    """Median along the four sides of ``[H, W, C]``."""
    return float(np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])))


def _on_white(image: Image.Image) -> Image.Image:
    """Lay an image with transparent parts on white: without that, its lines would often be black on black."""
    if image.mode not in {"RGBA", "LA", "PA"} and "transparency" not in image.info:
        return image
    whole = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)


def is_image(name: str) -> bool:
    """Whether a file's name is an image's, and not litter of a desktop ('._x.jpg')."""
    return name.lower().endswith(SUFFIXES) and not name.rpartition("/")[2].startswith((".", "__"))


def decode_images(
    files: Iterable[ImageFile], wanted: ImageFormat, count: int, title: str, progress: ProgressCallback
) -> Iterator[tuple[int, Pixels]]:
    """Decode on all processors: (row, uint8 ``[C, image_size, image_size]``) in the order of ``files``.

    Raises DamagedError at the end, with every file that could not be decoded.
    """
    damaged: list[str] = []
    for file, result in with_progress(_in_parallel(iter(files), wanted), title, count, progress):
        if isinstance(result, str):
            damaged.append(f"'{file.name}' ({result})")
        else:
            yield file.row, result
    if damaged:
        raise DamagedError(sorted(damaged))


def with_progress(items: Iterable[Item], title: str, count: int, progress: ProgressCallback) -> Iterator[Item]:
    """Hand ``items`` on, and tell how many of ``count`` have been dealt with: a few times a second, and at the end.

    Args:
        items: of any kind.
        title: what is being done, for whoever is told.
        count: how many there will be.
        progress: told title, number done, ``count``.
    """
    done, reported = 0, 0.0
    for done, item in enumerate(items, 1):
        yield item
        if done < count and time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            progress(title, done, count)
    progress(title, done, count)


def _in_parallel(files: Iterator[ImageFile], wanted: ImageFormat) -> Iterator[tuple[ImageFile, Pixels | str]]:
    """Decode in threads (Pillow lets go of the interpreter lock), never far ahead of who takes the images."""
    workers = os.cpu_count() or 1
    waiting: deque[Future[list[tuple[ImageFile, Pixels | str]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        while part := list(islice(files, PART)):
            waiting.append(pool.submit(_decode_part, part, wanted))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _decode_part(part: list[ImageFile], wanted: ImageFormat) -> list[tuple[ImageFile, Pixels | str]]:
    return [(file, _try(file.content, wanted)) for file in part]


def _try(content: bytes | Exception, wanted: ImageFormat) -> Pixels | str:
    if isinstance(content, Exception):
        return str(content) or type(content).__name__
    try:
        return wanted.decode(content)
    except UnidentifiedImageError:
        return "no image"
    except Exception as error:  # Pillow raises nearly anything on damaged files
        return str(error) or type(error).__name__
