"""Decoding of image files: resized, in parallel, with the names of all damaged files."""

from __future__ import annotations

import io
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mamlbench.data.progress import ProgressCallback, with_progress
from mamlbench.errors import DamagedImagesError

Fit = Literal["stretch", "crop"]
"""How an image that is not square becomes square: stretched, or cropped at its center."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".avif", ".tif", ".tiff"),
    *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".pcx", ".ico", ".qoi", ".heic", ".heif"),
)
"""Suffixes of files that count as images: one that cannot be decoded is damaged, and not left out."""

FORMATS = (
    *("JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "WEBP", "AVIF", "TIFF", "JPEG2000", "PPM", "TGA", "PCX", "ICO", "QOI"),
    "HEIF",  # with pillow-heif
)
"""Formats that are decoded, whatever the suffix says. Some others start programs (EPS) or need libraries."""

HEIF_SUFFIXES, AVIF_SUFFIXES = (".heic", ".heif"), (".avif",)
HEIF_INSTALL, AVIF_INSTALL = "pip install 'mamlbench[heif]'", "pip install -U pillow"

MAX_PIXELS = 89_000_000
"""Largest image that is decoded; just below where Pillow warns of decompression bombs."""

LARGE_PIXELS = 16_000_000
"""Number of pixels from which images are decoded one at a time: on many processors they would fill the memory."""

FEW_GRAY_VALUES = 32
"""Images of 16 bits that would be left with fewer gray values than that are named: they use fewer of their bits."""

CHUNK = 32
"""Number of images that a worker decodes at a time."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFile:
    """An image that is still to be decoded.

    Args:
        row: its row in the data set.
        name: a name that the user recognizes, for messages.
        content: the bytes of the file, or the error raised by reading it.
    """

    row: int
    name: str
    content: bytes | Exception


@dataclass(frozen=True)
class ImageFormat:
    """Size, channels and polarity that images are converted to: uint8 ``[channels, image_size, image_size]``.

    Transparent pixels become white.

    Args:
        image_size: height and width in pixels.
        channels: 3 for color, 1 for gray.
        fit: how an image that is not square becomes square.
        polarity: None for photographs. Of drawings, 1 (bright strokes on a dark background) or 0 (dark on bright). The
            border of an image is taken for its background; the image is inverted if that does not match.
        gray_bits: bits in use of images of 16 or 32 bits per pixel, such as 12 of many microscopes.
    """

    image_size: int
    channels: Literal[1, 3] = 3
    fit: Fit = "stretch"
    polarity: Literal[0, 1] | None = None
    gray_bits: int = 16

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (self.channels, self.image_size, self.image_size)

    def decode(self, content: bytes) -> Pixels:
        """Decode a file of one of ``FORMATS``, and convert it: uint8 ``[C, image_size, image_size]``.

        Raises whatever Pillow raises for damaged files, ValueError for more than ``MAX_PIXELS`` and for gray values of
        more than 8 bits whose range is unknown.
        """
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise ValueError(f"{image.width:,} x {image.height:,} pixels, and up to {MAX_PIXELS:,} are decoded")
            with _one_at_a_time if pixels > LARGE_PIXELS else nullcontext():
                return self.convert(image)

    def convert(self, image: Image.Image) -> Pixels:
        """Turn an image upright, resize it by LANCZOS and convert it: uint8 ``[C, image_size, image_size]``.

        Gray values of 16 bits, or of 32 bits up to 65,535, are divided by 257 (with ``gray_bits`` 16); floating-point
        ones are from 0 to 1.
        """
        eight_bits = _in_8_bits(ImageOps.exif_transpose(image), self.gray_bits)
        upright = _on_white(eight_bits).convert("RGB" if self.channels == 3 else "L")
        size = (self.image_size, self.image_size)
        if upright.size != size:
            if self.fit == "crop":
                upright = ImageOps.fit(upright, size, Image.Resampling.LANCZOS)
            else:
                upright = upright.resize(size, Image.Resampling.LANCZOS)
        pixels = np.asarray(upright).reshape(self.image_size, self.image_size, self.channels)  # [side, side, C]
        if self.polarity is not None and (_border(pixels) > 127) == (self.polarity == 1):
            pixels = 255 - pixels
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


_one_at_a_time = threading.Lock()


@cache
def _formats() -> tuple[str, ...]:
    """The ``FORMATS`` that the installed Pillow reads, with pillow-heif if that is installed too."""
    Image.init()
    if find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _in_8_bits(image: Image.Image, gray_bits: int) -> Image.Image:
    """Scale gray values of more than 8 bits, which Pillow's ``convert`` would cut off at 255.

    Raises ValueError if their range is unknown: below 0, above ``gray_bits``, or floating-point outside 0 to 1.
    """
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image).astype(np.float64)  # [H, W]
    white = 1 if image.mode == "F" else 2**gray_bits - 1
    if not (values.min() >= 0 and values.max() <= white):  # NaN too
        limits = f"{values.min():,g} to {values.max():,g}"
        raise ValueError(f"its gray values are from {limits} and not from 0 to {white:,}: save it with 8 bits")
    if 1 < values.max() < white * FEW_GRAY_VALUES / 256:
        _name_few_gray_values(int(values.max()), white)
    return Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))


@cache  # once for all images with that maximum
def _name_few_gray_values(largest: int, white: int) -> None:
    logging.getLogger("mamlbench").warning(
        "An image has gray values up to %s, and white is %s: it becomes dark, with few gray values. If its camera uses "
        "fewer bits, say 12, set them (-o dataset.gray_bits=12 of the data set 'folder').",
        f"{largest:,}",
        f"{white:,}",
    )


def _border(pixels: Pixels) -> float:
    """Median along the four sides of ``[H, W, C]``."""
    return float(np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])))


def _on_white(image: Image.Image) -> Image.Image:
    """Put an image with transparent pixels on white: without that, many drawings would be black on black."""
    if image.mode not in {"RGBA", "LA", "PA"} and "transparency" not in image.info:
        return image
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)


def is_image(name: str) -> bool:
    """Whether a file name is that of an image that can be read here, and not of a hidden file such as '._x.jpg'."""
    hidden = name.rpartition("/")[2].startswith(".")
    return name.lower().endswith(SUFFIXES) and not hidden and not needs_package(name)


def needs_package(name: str) -> str:
    """Return the command that installs what reads an image of this name; empty if it is no image, or can be read."""
    for suffixes, name_of_format, command in (
        (HEIF_SUFFIXES, "HEIF", HEIF_INSTALL),
        (AVIF_SUFFIXES, "AVIF", AVIF_INSTALL),
    ):
        if name.lower().endswith(suffixes):
            return "" if name_of_format in _formats() else command
    return ""


def decode_images(
    files: Iterable[ImageFile], image_format: ImageFormat, count: int, title: str, progress: ProgressCallback
) -> Iterator[tuple[int, Pixels]]:
    """Decode images on all processors: (row, uint8 ``[C, image_size, image_size]``) in the order of ``files``.

    Args:
        files: the images to decode.
        image_format: what they are converted to.
        count: number of files.
        title: what is being decoded, for display.
        progress: called with the title, the number decoded and ``count``.

    Raises DamagedImagesError at the end, with the name of every file that cannot be decoded.
    """
    damaged: list[str] = []
    for file, result in with_progress(_decode_in_parallel(iter(files), image_format), title, count, progress):
        if isinstance(result, str):
            damaged.append(f"'{file.name}' ({result})")
        else:
            yield file.row, result
    if damaged:
        raise DamagedImagesError(sorted(damaged))


def _decode_in_parallel(
    files: Iterator[ImageFile], image_format: ImageFormat
) -> Iterator[tuple[ImageFile, Pixels | str]]:
    """Decode in threads, because Pillow releases the interpreter lock; no more than two chunks per thread wait."""
    workers = os.cpu_count() or 1
    pending: deque[Future[list[tuple[ImageFile, Pixels | str]]]] = deque()
    with ThreadPoolExecutor(workers) as executor:
        while chunk := list(islice(files, CHUNK)):
            pending.append(executor.submit(_decode_chunk, chunk, image_format))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _decode_chunk(chunk: list[ImageFile], image_format: ImageFormat) -> list[tuple[ImageFile, Pixels | str]]:
    return [(file, _decode_or_explain(file.content, image_format)) for file in chunk]


def _decode_or_explain(content: bytes | Exception, image_format: ImageFormat) -> Pixels | str:
    """Pixels of an image, or the reason why it cannot be decoded."""
    if isinstance(content, Exception):
        return str(content) or type(content).__name__
    try:
        return image_format.decode(content)
    except UnidentifiedImageError:
        return _unknown_format(content)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"too many pixels: up to {MAX_PIXELS:,} are decoded"
    except Exception as error:  # Pillow raises nearly anything for damaged files
        return str(error) or type(error).__name__


def _unknown_format(content: bytes) -> str:
    if content[4:12] in {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"}:  # as phones save photographs
        if "HEIF" in _formats():
            return "damaged HEIC"
        return f"HEIC, which {HEIF_INSTALL} makes readable; or save it as JPEG or PNG"
    return "no image" if content else "empty"
