"""Tracker for TensorBoard: one folder of event files per run.

``tensorboard --logdir results/tensorboard`` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.api import Tracker
from mamlbench_plugins.trackers.packages import require_package

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Tracker):
    """Writes every number as a scalar, and the settings as a text."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        require_package("tensorboard")
        self._writer: SummaryWriter | None = None

    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder / name))
        lines = [
            f"    {key} = {value}" for key, value in settings.items()
        ]  # indented, so that Markdown does not reformat it
        self._writer.add_text("settings", "\n".join(lines), 0)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        assert self._writer is not None
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, status: Any) -> None:
        assert self._writer is not None
        self._writer.add_text("status", str(status), 0)
        self._writer.close()
