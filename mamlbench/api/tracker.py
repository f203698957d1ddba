"""Trackers receive the curves of runs while they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from mamlbench.run_spec.options import Options


class Tracker(ABC):
    """Receives runs one after the other: ``begin``, then any number of ``log``, then ``end``.

    Its methods are called in the process that launches runs, never in the one that is measured. If one raises an
    exception, the record names it and the run goes on. ``__init__`` may raise ConfigError, before any run, if a package
    or a setting is missing.

    Args:
        folder: folder for a tracker that writes to disk; it may not exist yet.
    """

    Options: ClassVar[type[Options]] = Options

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        """Called when a run begins, with a unique name and all settings of the run by dotted name."""

    @abstractmethod
    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Called with numbers after ``step`` meta-iterations, such as ``train/loss`` and ``val/accuracy``.

        Accuracies are shares, 0 to 1; times are in seconds.
        """

    @abstractmethod
    def end(self, status: Literal["finished", "interrupted", "diverged", "failed"]) -> None:
        """Called when the run has ended, with its status."""
