"""Cache of decoded images: one memory-mapped safetensors file per data set, written completely or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mamlbench.atomic_write import remove_abandoned, replaced_when_complete
from mamlbench.errors import CacheError

LOG = logging.getLogger(__name__)

HASH_BYTES = 16
"""Length of an image's hash, BLAKE2b over its pixels."""

BLOCK_BYTES = 1 << 20
"""Size of the blocks of a cached file that have a checksum each."""

CHECKSUM_BYTES = 4
"""Length of a checksum, CRC-32: it differs for every single wrong bit, and 25 MB take 4 ms."""

HEADER_LIMIT = 100 << 20
"""Longest header of a safetensors file, as the library has it."""

RESIDENT_BYTES = 8 << 20
"""Bytes read from a mapped file before its pages are released."""

METADATA_KEY = "facts"
"""Key of ``CachedImages.metadata`` in the file; files written by earlier versions have it too."""

Pixels = NDArray[np.uint8]
Hashes = NDArray[np.uint8]


@dataclass
class MappedFile:
    """Releases mapped pages after every 8 MiB read, so resident memory stays bounded.

    Args:
        pages: the memory map.
        bytes_read: number of bytes read since the last release.
    """

    pages: mmap.mmap
    bytes_read: int = field(default=0, compare=False)

    def count_read(self, size: int) -> None:
        """Count ``size`` bytes as read, and release the pages once ``RESIDENT_BYTES`` are reached.

        Every page that was read counts as memory of this process until it is released. The system keeps released
        pages in its own cache, so that reading one again takes microseconds.
        """
        self.bytes_read += size
        if self.bytes_read > RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self.pages.madvise(mmap.MADV_DONTNEED)
            self.bytes_read = 0


@dataclass(frozen=True)
class CachedImages:
    """Decoded images of some classes, as a data set hands them to ImageSplit.

    Args:
        images: uint8 ``[images, C, H, W]``; read only, if they come from a mapped file.
        offsets: int64 ``[classes + 1]``; class c has ``offsets[c + 1] - offsets[c]`` images.
        class_names: one name per class.
        metadata: short strings that the data set wants to read back (its content hash, its origin).
        starts: int64 ``[classes]``, the row at which the images of each class begin; None: ``offsets[:-1]``. It differs
            if these are some classes of a larger set.
        hashes: uint8 ``[images, 16]``, the ``image_hashes``; every set read from the cache has them.
        mapped_file: the memory map that holds the images, if there is one.
    """

    images: Tensor
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    metadata: dict[str, str]
    starts: NDArray[np.int64] | None = None
    hashes: Hashes | None = None
    mapped_file: MappedFile | None = None

    def select(self, classes: Sequence[int]) -> CachedImages:
        """Return these classes, in this order, without copying an image."""
        selected = np.asarray(classes, np.int64)
        starts = self.offsets[:-1] if self.starts is None else self.starts
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(np.diff(self.offsets)[selected])]).astype(np.int64),
            class_names=tuple(self.class_names[c] for c in selected),
            starts=starts[selected],
        )


@dataclass(frozen=True)
class ImageStream:
    """Images on their way into the cache, one at a time, so that memory does not grow with their number.

    Args:
        shape: ``(C, H, W)`` of every image.
        offsets: int64 ``[classes + 1]``; class c has the rows ``offsets[c]:offsets[c + 1]``.
        class_names: one name per class.
        metadata: short strings that the data set wants to read back.
        images: yields (row, uint8 ``[C, H, W]``), every row once, in any order; it may raise DataError.
    """

    shape: tuple[int, int, int]
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    metadata: dict[str, str]
    images: Iterable[tuple[int, Pixels]]

    @cached_property
    def image_bytes(self) -> int:
        """Size of one image in bytes."""
        return int(np.prod(self.shape))


def image_hashes(images: Iterable[Pixels]) -> Hashes:
    """Hash the pixels of each image by BLAKE2b, in C order: ``[n, ...]`` to uint8 ``[n, 16]``."""
    digests = b"".join(map(_image_hash, images))
    return np.frombuffer(digests, np.uint8).reshape(-1, HASH_BYTES)


def _image_hash(image: Pixels) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=HASH_BYTES).digest()


def cached_images(path: Path, build: Callable[[], CachedImages | ImageStream]) -> CachedImages:
    """Map the cached images at ``path``; build and write them first if the file is missing or damaged.

    Every block of the file is compared with its checksum first: 25 MB take about 10 ms. A single wrong bit is found.

    Several processes may build at once: each writes a temporary file of its own and renames it. A process that is
    killed leaves its temporary file behind, and a later one removes it.

    Args:
        path: the file in the cache folder; its name should change with the raw data.
        build: makes the images.

    Raises CacheError if the cache folder cannot be written or is too full, and whatever ``build`` raises.
    """
    cached = load_cached_images(path)
    if cached is not None:
        LOG.info("Prepared images from the cache: %s.", path)
        return cached
    LOG.info("No prepared images in the cache: making %s.", path)
    built = build()
    stream = built if isinstance(built, ImageStream) else _as_stream(built)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in remove_abandoned(path.parent, path.name):
            LOG.info("Removed '%s', left by an interrupted preparation.", abandoned)
        _refuse_full_disk(path.parent, len(stream.class_names), int(stream.offsets[-1]) * stream.image_bytes)
        with replaced_when_complete(path) as temporary, temporary.open("wb+") as file:
            _write(file, stream)
        return _read(path)
    except (OSError, SafetensorError) as error:
        raise CacheError(
            f"The prepared data cannot be written to '{path.parent}' ({error}): "
            "free some space or set MAMLBENCH_CACHE to a writable folder."
        ) from error


def load_cached_images(path: Path, *, check: bool = True) -> CachedImages | None:
    """Map the cached images at ``path``; None if the file is missing or damaged.

    Args:
        path: the file in the cache folder.
        check: whether the whole file is compared with its checksums, or only its form is looked at.
    """
    if not path.is_file():
        return None
    try:
        if check:
            _check_blocks(path)
        return _read(path)
    except KeyError:  # a part is missing that earlier versions did not write
        return None
    except (SafetensorError, struct.error, OSError, ValueError, TypeError) as error:
        if check:
            LOG.warning("The prepared data '%s' are damaged (%s): making them again.", path, error)
        return None


def _as_stream(cached: CachedImages) -> ImageStream:
    if cached.starts is not None:
        raise ValueError("a selection of classes cannot be cached: cache the whole set")
    _, channels, height, width = cached.images.shape
    return ImageStream(
        (channels, height, width),
        cached.offsets,
        cached.class_names,
        cached.metadata,
        enumerate(cached.images.numpy()),
    )


def _refuse_full_disk(folder: Path, classes: int, image_bytes: int) -> None:
    needed = image_bytes + 1000 * classes
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free")


def _write(file: BinaryIO, stream: ImageStream) -> None:
    """Write a safetensors file: each image at its place as it arrives, then hashes and checksums, which are known last.

    The file is written by hand because the safetensors library needs all tensors in memory first.
    """
    count = int(stream.offsets[-1])
    header = _header(stream)
    file.write(header)
    file.write(np.ascontiguousarray(stream.offsets, "<i8").tobytes())
    start = file.tell()
    hashes = np.zeros((count, HASH_BYTES), np.uint8)
    written = np.zeros(count, bool)
    for row, image in stream.images:
        file.seek(start + row * stream.image_bytes)
        file.write(np.ascontiguousarray(image, np.uint8).reshape(stream.shape).data)
        hashes[row] = np.frombuffer(_image_hash(image), np.uint8)
        written[row] = True
    if not written.all():
        raise ValueError(f"{count - np.count_nonzero(written)} of {count} images are missing from the stream")
    file.seek(start + count * stream.image_bytes)
    file.write(hashes.data)
    file.write(_checksums(file, len(header), file.tell()))


def _header(stream: ImageStream) -> bytes:
    """Return the header of the file, with its length before it."""
    count = int(stream.offsets[-1])
    sizes = {"offsets": stream.offsets.nbytes, "images": count * stream.image_bytes, "hashes": count * HASH_BYTES}
    blocks = -(-sum(sizes.values()) // BLOCK_BYTES)
    sizes["checksums"] = (1 + blocks) * CHECKSUM_BYTES
    shapes = {
        "offsets": [len(stream.offsets)],
        "images": [count, *stream.shape],
        "hashes": [count, HASH_BYTES],
        "checksums": [1 + blocks, CHECKSUM_BYTES],
    }
    ends = dict(zip(sizes, np.cumsum(list(sizes.values())).tolist(), strict=True))
    header: dict[str, object] = {
        name: {
            "dtype": "I64" if name == "offsets" else "U8",
            "shape": shapes[name],
            "data_offsets": [end - sizes[name], end],
        }
        for name, end in ends.items()
    }
    header["__metadata__"] = {"class_names": json.dumps(stream.class_names), METADATA_KEY: json.dumps(stream.metadata)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format requires tensors aligned to 8 bytes
    return struct.pack("<Q", len(text)) + text


def _checksums(file: BinaryIO, start: int, end: int) -> bytes:
    """CRC-32 of the first ``start`` bytes, and of each block from there to ``end``, four bytes each."""
    file.seek(0)
    checksums = [zlib.crc32(file.read(start))]
    checksums += [zlib.crc32(file.read(min(BLOCK_BYTES, end - begin))) for begin in range(start, end, BLOCK_BYTES)]
    return np.array(checksums, "<u4").tobytes()


def _check_blocks(path: Path) -> None:
    """Raise ValueError if a block of the file differs from its checksum, or the file has another length."""
    with path.open("rb") as file:
        start, header = _read_header(file)
        begin, end = header["checksums"]["data_offsets"]
        if not 0 <= begin < end or start + end != os.fstat(file.fileno()).st_size:
            raise ValueError("its length is wrong")
        actual = _checksums(file, start, start + begin)
        stored = file.read()
    if actual != stored:
        blocks = range(0, len(stored), CHECKSUM_BYTES)
        wrong = next((at for at in blocks if actual[at : at + CHECKSUM_BYTES] != stored[at : at + CHECKSUM_BYTES]), 0)
        raise ValueError(f"block {wrong // CHECKSUM_BYTES} of {len(blocks)} differs from its checksum")


def _read_header(file: BinaryIO) -> tuple[int, dict[str, Any]]:
    """Return where the tensors begin, and the description of each."""
    (length,) = struct.unpack("<Q", file.read(8))
    return 8 + length, json.loads(file.read(min(length, HEADER_LIMIT)))


def _read(path: Path) -> CachedImages:
    with safe_open(path, framework="pt") as file:  # raises SafetensorError if the file is damaged or cut short
        metadata = file.metadata() or {}
        offsets, hashes = file.get_tensor("offsets").numpy(), file.get_tensor("hashes").numpy()
    images, mapped_file = _map_images(path)
    return CachedImages(
        images,
        offsets,
        tuple(json.loads(metadata["class_names"])),
        json.loads(metadata[METADATA_KEY]),
        hashes=hashes,
        mapped_file=mapped_file,
    )


def _map_images(path: Path) -> tuple[Tensor, MappedFile]:
    """Map the tensor ``images`` by hand, because safetensors does not expose the map that releases pages."""
    with path.open("rb") as file:
        start, header = _read_header(file)
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch warns about memory that is read-only
    begin, end = header["images"]["data_offsets"]
    pixels = torch.frombuffer(pages, dtype=torch.uint8, offset=start + begin, count=end - begin)
    return pixels.view(header["images"]["shape"]), MappedFile(pages)
