"""TensorBoard: one folder of event files per run. Look at them with ``tensorboard --logdir results/tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.api import Tracker
from mamlbench_plugins.trackers.packages import require

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Tracker):
    """Writes every number as a scalar and the settings as a text."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        require("tensorboard", "tensorboard")
        self._writer: SummaryWriter | None = None

    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder / name))
        lines = [f"    {key} = {value}" for key, value in settings.items()]  # indented: Markdown leaves it as it is
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
