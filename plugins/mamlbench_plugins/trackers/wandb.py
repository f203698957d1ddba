"""Tracker for Weights & Biases: runs of the project 'mamlbench', written to disk.

Nothing leaves this machine, unless ``WANDB_MODE=online`` is set; ``wandb sync results/wandb/wandb/offline-run-*``
uploads runs later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.api import Tracker
from mamlbench_plugins.trackers.packages import require_package

if TYPE_CHECKING:
    from wandb import Run

PROJECT = "mamlbench"
MODE_VARIABLE = "WANDB_MODE"
STEP = "iteration"
"""The horizontal axis: wandb's own steps must increase, and a test comes after the same iteration as a validation."""
PRIVATE = {
    "console": "off",  # what the terminal shows is not copied
    "disable_git": True,
    "disable_code": True,
    "silent": True,
    "x_disable_stats": True,  # a thread that measures the machine would disturb what is measured
    "x_disable_machine_info": True,  # the record describes the machine
}


class WandB(Tracker):
    """Sends every number as a metric over iterations, and the settings as the run's configuration."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        require_package("wandb")
        self._run: Run | None = None

    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name,
            dir=self.folder,
            config=dict(settings),
            mode="online" if os.environ.get(MODE_VARIABLE) == "online" else "offline",
            reinit="create_new",  # several runs may be open at once
            settings=wandb.Settings(**PRIVATE),
        )
        self._run.define_metric("*", step_metric=STEP)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        assert self._run is not None
        self._run.log({STEP: step, **metrics})

    def end(self, status: Any) -> None:
        assert self._run is not None
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status == "finished" else 1)
