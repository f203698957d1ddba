"""Checkpoints of a run on disk: two of them, so that a good one is left whatever happens to the other.

``checkpoint-1`` and ``checkpoint-2`` are written by turns, each as ``.safetensors`` (what training changes, and the
random states) and ``.json`` (where the run stands, and the SHA-256 of both files). Each file is written beside its
place, flushed and renamed, then read again. The newer good checkpoint is not touched while the other is written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mamlbench.atomic_write import write_atomically
from mamlbench.runner.checkpoint_slots import SLOTS
from mamlbench.runner.tree_file import DamagedFileError, dump_tree, load_tree

VERSION = 1
"""Of the content; another one is not read."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stood."""

    path: Path
    """the JSON file"""
    content: dict[str, Any]
    """what is written as JSON"""
    tensors: bytes
    """the pytree, as it is stored"""

    @property
    def about(self) -> dict[str, Any]:
        """What stays the same throughout the run: spec, environment, engine, ..."""
        return dict(self.content["about"])

    def tree(self, device: torch.device) -> Any:
        """What training had changed, on the device of the run."""
        return load_tree(self.tensors, device)


class CheckpointFolder:
    """The checkpoints in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last: tuple[str, int] | None = None
        """slot and number of the newest good checkpoint, once this object has read or written it"""

    def write(self, content: dict[str, Any], tree: Any) -> Path:
        """Write a checkpoint, read it again, and return the path of its JSON file.

        Raises OSError if it cannot be written, and DamagedFileError if it cannot be read again; the newest good
        checkpoint stays as it was. Raises ConfigError if the tree holds what cannot be stored.
        """
        last, number = self._last or (SLOTS[1], 0)
        slot = SLOTS[last == SLOTS[0]]
        tensors = dump_tree(tree)
        named = {"tensors": f"{slot}.safetensors", "tensors_sha256": _sha256(tensors)}
        sealed = _sealed({"version": VERSION, "number": number + 1, **named, **content})
        for name, data in ((f"{slot}.safetensors", tensors), (f"{slot}.json", sealed)):
            write_atomically(self.folder / name, data)
            if (self.folder / name).read_bytes() != data:
                raise DamagedFileError(f"'{self.folder / name}' does not hold what was written to it")
        self._last = slot, number + 1
        return self.folder / f"{slot}.json"

    def read(self) -> tuple[Checkpoint | None, list[str]]:
        """Read the newest good checkpoint, if there is one; and a sentence for each damaged one that it took over from.

        Raises nothing for damaged files.
        """
        notices, contents = [], []
        for slot in SLOTS:
            path = self.folder / f"{slot}.json"
            try:
                contents.append((_unsealed(path.read_bytes()), slot))
            except FileNotFoundError:
                continue
            except (OSError, DamagedFileError) as error:
                notices.append(f"The checkpoint '{path}' is damaged ({error}).")
        for content, slot in sorted(contents, key=lambda one: -one[0]["number"]):
            try:
                checkpoint = self._load(slot, content)
            except (OSError, DamagedFileError) as error:
                notices.append(f"The checkpoint '{self.folder / slot}.safetensors' is damaged ({error}).")
            else:
                self._last = slot, content["number"]
                return checkpoint, notices
        return None, notices

    def clear(self) -> None:
        """Remove all checkpoints, those that were being written when a process was killed too."""
        for slot in SLOTS:
            for path in (*self.folder.glob(f"{slot}.*"), *self.folder.glob(f".{slot}.*.tmp")):
                path.unlink(missing_ok=True)

    def _load(self, slot: str, content: dict[str, Any]) -> Checkpoint:
        tensors = (self.folder / f"{slot}.safetensors").read_bytes()
        if _sha256(tensors) != content["tensors_sha256"]:
            raise DamagedFileError("its SHA-256 differs")
        return Checkpoint(self.folder / f"{slot}.json", content, tensors)


def _sealed(content: dict[str, Any]) -> bytes:
    """JSON with its own SHA-256 in it."""
    return _text({"sha256": _sha256(_text(content)), **content})


def _unsealed(data: bytes) -> dict[str, Any]:
    """The content of such JSON. Raises DamagedFileError if a single byte of it has changed."""
    try:
        content = json.loads(data)
        seal = content.pop("sha256")
        if _sealed(content) == data and _sha256(_text(content)) == seal and content["version"] == VERSION:
            return dict(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError("it is not JSON of a checkpoint") from error
    raise DamagedFileError("its SHA-256 differs")


def _text(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
