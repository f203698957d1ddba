"""Names of a run's checkpoints, for those that look at them without loading torch."""

from __future__ import annotations

from pathlib import Path

SLOTS = ("checkpoint-1", "checkpoint-2")


def has_checkpoints(folder: Path) -> bool:
    """Whether a run's folder holds a checkpoint, good or damaged."""
    return any((folder / f"{slot}.json").exists() for slot in SLOTS)
