"""When and what a run writes as its checkpoints."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mamlbench.atomic_write import write_atomically
from mamlbench.record import TrainingData
from mamlbench.record.model_inputs import ModelInputs
from mamlbench.record.training_data import write_hashes
from mamlbench.runner.checkpoint_folder import CheckpointFolder
from mamlbench.runner.datasets.seen_test_data import TrainedOn
from mamlbench.runner.meter import Meter
from mamlbench.runner.tree_file import DamagedFileError, dump_tree, load_tree

LOG = logging.getLogger(__name__)

SECONDS = 60.0
"""Most seconds between two checkpoints, unless they take more than ``LARGEST_SHARE`` of the time."""
LARGEST_SHARE = 0.004
"""Largest share of the time that checkpoints by the clock may take by default."""
SLOW_SECONDS = 1.0
"""Checkpoints that take so long are written at validations only if the clock asks for one."""
_INITIAL = "initial.safetensors"


def _nothing() -> None:
    """Check nothing."""


class Checkpointer:
    """Writes the checkpoints of one run.

    Args:
        folder: the run's folder of artifacts.
        meter: the run's clocks, which go into each checkpoint.
        about: what stays the same throughout the run: spec, environment, engine, ...
        seconds: most seconds between checkpoints; None: by default.
        own_process: as for ``Meter.measurement``.
        runs_at_once: as for ``Meter.measurement``.
        check: raises if this process may not write there any more.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        folder: Path,
        meter: Meter,
        about: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
        own_process: bool = False,
        runs_at_once: int = 1,
        check: Callable[[], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.files = CheckpointFolder(folder)
        self.about = dict(about or {})
        self.check = check
        self._meter = meter
        self._seconds = seconds
        self._own_process, self._runs_at_once = own_process, runs_at_once
        self._clock = clock
        self._due = clock()
        self._cost = 0.0

    def is_due(self, *, at_validation: bool = False) -> bool:
        """Whether a checkpoint is to be written now: by the clock, or at a validation."""
        is_quick = self._seconds is not None or self._cost < SLOW_SECONDS
        return (at_validation and is_quick) or self._clock() >= self._due

    def write(self, progress: Mapping[str, Any], tree: Any) -> Path:
        """Write a checkpoint, and return the path of its JSON file; raises what ``CheckpointFolder.write`` raises.

        Args:
            progress: where the run stands, as JSON.
            tree: what training changes; the random states are added.
        """
        started = self._clock()
        self.check()
        try:
            clocks = self._meter.clocks(own_process=self._own_process, runs_at_once=self._runs_at_once)
            content = {"about": self.about, "progress": progress, "clocks": clocks.model_dump(mode="json")}
            path = self.files.write(content, {**tree, "random": random_states()})
            LOG.info("Checkpoint %s written in %.2f s.", path, self._clock() - started)
            return path
        finally:
            self._due = self._next(self._clock() - started)

    def keep_initial(self, state: Any) -> None:
        """Keep the untrained network, in case that another process cannot build the same one again."""
        content = dump_tree(state)
        self.about["initial_sha256"] = hashlib.sha256(content).hexdigest()
        write_atomically(self.folder / _INITIAL, content)

    def keep_hashes(self, trained: TrainedOn) -> None:
        """Keep the hashes of what the network is trained on, for tests of it on other data."""
        name, sha256 = write_hashes(self.folder, trained.hashes)
        data = trained.data.model_copy(update={"file": f"{self.folder.name}/{name}", "sha256": sha256})
        self.about["training_data"] = data.model_dump(mode="json")

    @property
    def training_data(self) -> TrainingData | None:
        """What ``keep_hashes`` kept; None if it has not."""
        data = self.about.get("training_data")
        return None if data is None else TrainingData.model_validate(data)

    @property
    def inputs(self) -> ModelInputs | None:
        """What the model's inputs are; None if they are no images, or the run was begun by an earlier release."""
        inputs = self.about.get("inputs")
        return None if inputs is None else ModelInputs.model_validate(inputs)

    def initial(self, built: Any, device: torch.device) -> Any:
        """The untrained network that ``keep_initial`` kept; ``built`` is the one that this process has built.

        Raises OSError or DamagedFileError if they differ and the file cannot be read.
        """
        expected = self.about["initial_sha256"]
        if hashlib.sha256(dump_tree(built)).hexdigest() == expected:
            return built
        content = (self.folder / _INITIAL).read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise DamagedFileError("its SHA-256 differs")
        return load_tree(content, device)

    def clear(self) -> None:
        """Remove the checkpoints: the run has finished."""
        self.files.clear()
        (self.folder / _INITIAL).unlink(missing_ok=True)

    def _next(self, cost: float) -> float:
        self._cost = cost
        interval = max(SECONDS, cost / LARGEST_SHARE) if self._seconds is None else self._seconds
        return self._clock() + interval


def random_states() -> dict[str, Any]:
    """The states of the global generators. The harness draws from none of them, but a plugin may."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        "numpy": np.random.get_state(),
        "python": random.getstate(),
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Restore what ``random_states`` returned."""
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])
