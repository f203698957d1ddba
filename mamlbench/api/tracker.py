"""Trackers: where a run's curves are sent while it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from mamlbench.run_spec.options import Options


class Tracker(ABC):
    """Receives runs one after the other, each as ``begin``, any number of ``log``, ``end``.

    It is called from the process that launches, never from the one that is measured. What it raises is named in the
    record and costs the run nothing. ``__init__`` may raise ConfigError, before anything is run, where a package or a
    setting is missing.

    Args:
        folder: where to write, for a tracker that writes to disk; it may not exist yet.
    """

    Options: ClassVar[type[Options]] = Options

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        """A run begins; ``name`` is its own, ``settings`` everything that it was asked for, by dotted name."""

    @abstractmethod
    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Numbers after ``step`` meta-iterations: ``train/loss``, ``train/wall_seconds``, ``val/accuracy``, ...

        Accuracies are shares, 0 to 1; times are in seconds.
        """

    @abstractmethod
    def end(self, status: Literal["finished", "interrupted", "diverged", "failed"]) -> None:
        """The run ended so."""
