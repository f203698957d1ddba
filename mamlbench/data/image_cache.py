"""Prepared image sets on disk: one memory-mapped safetensors file each, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mamlbench.errors import CacheError

HASH_BYTES = 16
"""Length of an image's hash: BLAKE2b over its pixels."""

ABANDONED_SECONDS = 3600.0
"""A temporary file that nobody has written to for so long was left behind by a preparation that was killed."""

RESIDENT_BYTES = 8 << 20
"""So much is gathered from a mapped set before the process lets go of the pages that it has touched."""

Pixels = NDArray[np.uint8]
Hashes = NDArray[np.uint8]


@dataclass
class Mapped:
    """The map of a prepared set. A page that is touched counts as the process's memory, though it is the file's.

    Told what was ``gathered``, it gives the pages back every now and then: the system keeps them for as long as it has
    room, and touching one again costs microseconds. Without that a long training has the whole set resident.
    """

    pages: mmap.mmap
    touched: int = field(default=0, compare=False)

    def gathered(self, size: int) -> None:
        """Note that ``size`` bytes were read."""
        self.touched += size
        if self.touched > RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self.pages.madvise(mmap.MADV_DONTNEED)
            self.touched = 0


@dataclass(frozen=True)
class CachedImages:
    """Images of some classes, as ImageSplit takes them.

    ``images`` uint8 ``[images, C, H, W]``. Class c has ``offsets[c + 1] - offsets[c]`` of them, which lie in one piece
    that begins at row ``starts[c]``: at ``offsets[c]`` where none are given, elsewhere where these are some classes of
    a larger set. ``facts`` are short strings that a source wants to find again (its content hash, its origin).
    ``hashes`` uint8 ``[images, 16]`` are those of ``image_hashes``; a set that was prepared has them.
    ``mapped``: the map that the images lie in, where they do; they are to be read, never written.
    ``offsets`` is int64 ``[classes + 1]``, ``starts`` int64 ``[classes]``.
    """

    images: Tensor
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    facts: dict[str, str]
    starts: NDArray[np.int64] | None = None
    hashes: Hashes | None = None
    mapped: Mapped | None = None

    def select(self, classes: Sequence[int]) -> CachedImages:
        """The given classes, in the given order; no image is copied."""
        chosen = np.asarray(classes, np.int64)
        starts = self.offsets[:-1] if self.starts is None else self.starts
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(np.diff(self.offsets)[chosen])]).astype(np.int64),
            class_names=tuple(self.class_names[c] for c in chosen),
            starts=starts[chosen],
        )


@dataclass(frozen=True)
class ImageStream:
    """A set still to be made: its images come one by one, in any order, and memory does not grow with their number.

    ``images`` yields (row, uint8 ``[C, H, W]``), every row once; it may raise DataError. Class c owns the rows
    ``offsets[c]:offsets[c + 1]``.
    """

    shape: tuple[int, int, int]
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    facts: dict[str, str]
    images: Iterable[tuple[int, Pixels]]

    @cached_property
    def image_bytes(self) -> int:
        """Size of one image in bytes."""
        return int(np.prod(self.shape))


def image_hashes(images: Iterable[Pixels]) -> Hashes:
    """BLAKE2b over the pixels of each image, in the order of their axes: ``[n, ...]`` to uint8 ``[n, 16]``."""
    digests = b"".join(map(_image_hash, images))
    return np.frombuffer(digests, np.uint8).reshape(-1, HASH_BYTES)


def _image_hash(image: Pixels) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=HASH_BYTES).digest()


def cached_images(path: Path, build: Callable[[], CachedImages | ImageStream]) -> CachedImages:
    """Map the prepared set at ``path``; build and keep it where it is absent or damaged.

    Two processes that build at once do no harm: each writes under its own name and renames. One that is killed leaves
    a file under such a name, which a later one removes.

    Args:
        path: the file in the cache folder; its name should change with the raw data.
        build: makes the set.

    Raises CacheError where the cache folder cannot be written or is too full, and whatever ``build`` raises.
    """
    prepared = load_cached_images(path)
    if prepared is not None:
        return prepared
    built = build()
    stream = built if isinstance(built, ImageStream) else _as_stream(built)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        _refuse_full_disk(path.parent, len(stream.class_names), int(stream.offsets[-1]) * stream.image_bytes)
        with temporary.open("wb") as file:
            _write(file, stream)
            file.flush()
            os.fsync(file.fileno())  # a file that bears the final name is whole, even after a power cut
        temporary.replace(path)
        return _read(path)
    except (OSError, SafetensorError) as error:
        raise CacheError(
            f"The prepared data cannot be kept in '{path.parent}' ({error}): "
            "free some space or set MAMLBENCH_CACHE to a folder that can be written."
        ) from error
    finally:
        with suppress(OSError):  # where not even that is possible, the error above says why
            temporary.unlink(missing_ok=True)


def load_cached_images(path: Path) -> CachedImages | None:
    """Map the prepared set at ``path``; None where there is none, or it is damaged."""
    if not path.is_file():
        return None
    try:
        return _read(path)
    except (SafetensorError, KeyError, ValueError):
        return None


def _as_stream(packed: CachedImages) -> ImageStream:
    if packed.starts is not None:
        raise ValueError("a selection of classes cannot be kept: keep the whole set")
    _, channels, height, width = packed.images.shape
    return ImageStream(
        (channels, height, width),
        packed.offsets,
        packed.class_names,
        packed.facts,
        enumerate(packed.images.numpy()),
    )


def _remove_abandoned(path: Path) -> None:
    """Clear away what preparations that were killed have left; those still at work write to their files."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                logging.getLogger("mamlbench").info("Removing '%s', left by an interrupted preparation.", left)
                left.unlink()


def _refuse_full_disk(folder: Path, classes: int, image_bytes: int) -> None:
    needed = image_bytes + 1000 * classes
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free")


def _write(file: BinaryIO, stream: ImageStream) -> None:
    """Write as safetensors: images in place as they come, then their hashes, which are known last."""
    count = int(stream.offsets[-1])
    sizes = {"offsets": stream.offsets.nbytes, "images": count * stream.image_bytes, "hashes": count * HASH_BYTES}
    shapes = {"offsets": [len(stream.offsets)], "images": [count, *stream.shape], "hashes": [count, HASH_BYTES]}
    ends = dict(zip(sizes, np.cumsum(list(sizes.values())).tolist(), strict=True))
    header: dict[str, object] = {
        name: {
            "dtype": "I64" if name == "offsets" else "U8",
            "shape": shapes[name],
            "data_offsets": [end - sizes[name], end],
        }
        for name, end in ends.items()
    }
    header["__metadata__"] = {"class_names": json.dumps(stream.class_names), "facts": json.dumps(stream.facts)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants its numbers aligned
    file.write(struct.pack("<Q", len(text)) + text)
    file.write(np.ascontiguousarray(stream.offsets, "<i8").tobytes())
    start = file.tell()
    hashes = np.zeros((count, HASH_BYTES), np.uint8)
    done = np.zeros(count, bool)
    for row, image in stream.images:
        file.seek(start + row * stream.image_bytes)
        file.write(np.ascontiguousarray(image, np.uint8).reshape(stream.shape).data)
        hashes[row] = np.frombuffer(_image_hash(image), np.uint8)
        done[row] = True
    if not done.all():
        raise ValueError(f"{count - np.count_nonzero(done)} of {count} images did not come")
    file.seek(start + count * stream.image_bytes)
    file.write(hashes.data)


def _read(path: Path) -> CachedImages:
    with safe_open(path, framework="pt") as file:  # it refuses what is damaged or cut short
        metadata = file.metadata() or {}
        offsets, hashes = file.get_tensor("offsets").numpy(), file.get_tensor("hashes").numpy()
    images, mapped = _map_images(path)
    return CachedImages(
        images,
        offsets,
        tuple(json.loads(metadata["class_names"])),
        json.loads(metadata["facts"]),
        hashes=hashes,
        mapped=mapped,
    )


def _map_images(path: Path) -> tuple[Tensor, Mapped]:
    """Map the tensor ``images`` by hand: its pages can then be given back."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        described = json.loads(file.read(length))["images"]
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch warns of memory that cannot be written
    begin, end = described["data_offsets"]
    pixels = torch.frombuffer(pages, dtype=torch.uint8, offset=8 + length + begin, count=end - begin)
    return pixels.view(described["shape"]), Mapped(pages)


__all__ = ["HASH_BYTES", "CachedImages", "ImageStream", "Mapped", "cached_images", "image_hashes", "load_cached_images"]
