"""Prepared image sets on disk: one memory-mapped safetensors file each, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mamlbench.errors import DataError


@dataclass(frozen=True)
class PackedImages:
    """Images sorted by class, as ClassPool takes them.

    ``images`` uint8 ``[images, C, H, W]``; class c owns ``offsets[c]:offsets[c + 1]``; ``facts`` are short strings
    that a source wants to find again (its content hash, its origin).
    """

    images: Tensor
    offsets: NDArray[np.int64]
    class_names: tuple[str, ...]
    facts: dict[str, str]

    def select(self, classes: list[int]) -> PackedImages:
        """The given classes, in the given order."""
        rows = [np.arange(self.offsets[c], self.offsets[c + 1]) for c in classes]
        sizes = [len(each) for each in rows]
        return PackedImages(
            self.images[torch.from_numpy(np.concatenate(rows))],
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            tuple(self.class_names[c] for c in classes),
            self.facts,
        )


def packed_images(path: Path, build: Callable[[], PackedImages]) -> PackedImages:
    """Read the prepared set at ``path``; build and keep it where it is absent or damaged.

    Two processes that build at once do no harm: each writes under its own name and renames.
    Raises DataError where the cache folder cannot be written.
    """
    if path.is_file():
        try:
            return _read(path)
        except (SafetensorError, KeyError, ValueError):
            path.unlink(missing_ok=True)  # damaged: a process was killed, or the disk was full
    packed = build()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {"images": packed.images.contiguous(), "offsets": torch.from_numpy(packed.offsets)},
            temporary,
            {"class_names": json.dumps(packed.class_names), "facts": json.dumps(packed.facts)},
        )
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"The prepared data cannot be kept in '{path.parent}' ({error}): "
            "free some space or set MAMLBENCH_CACHE to a folder that can be written."
        ) from error
    finally:
        with suppress(OSError):  # where not even that is possible, the error above says why
            temporary.unlink(missing_ok=True)
    return packed


def _read(path: Path) -> PackedImages:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        return PackedImages(
            file.get_tensor("images"),
            file.get_tensor("offsets").numpy(),
            tuple(json.loads(metadata["class_names"])),
            json.loads(metadata["facts"]),
        )
