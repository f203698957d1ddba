"""MLflow: one run in the experiment 'mamlbench', in a local file store unless MLFLOW_TRACKING_URI names another place.

``MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri results/mlflow`` shows them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.api import Tracker
from mamlbench_plugins.trackers.packages import require

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "mamlbench"
PLACE = "MLFLOW_TRACKING_URI"
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
"""MLflow's words for how a run ended; the tag 'status' keeps ours."""
LONGEST = 500
"""Characters of a parameter that every store takes."""


class MLflow(Tracker):
    """Sends every number as a metric and the settings as parameters."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        require("mlflow", "mlflow")
        self._client: MlflowClient | None = None
        self._run = ""

    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        client = self._connected()
        experiment = client.get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment is not None else client.create_experiment(EXPERIMENT)
        self._run = client.create_run(number, run_name=name).info.run_id
        client.log_batch(self._run, params=[Param(_allowed(key), value[:LONGEST]) for key, value in settings.items()])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._connected().log_batch(
            self._run, metrics=[Metric(_allowed(name), value, now, step) for name, value in metrics.items()]
        )

    def end(self, status: Any) -> None:
        client = self._connected()
        client.set_tag(self._run, "status", status)
        client.set_terminated(self._run, STATUS[status])

    def _connected(self) -> MlflowClient:
        if self._client is None:
            place = os.environ.get(PLACE)
            if place is None:  # MLflow would rather have a data base, and refuses its own files without this word
                os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
                place = self.folder.resolve().as_uri()
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=place)
        return self._client


def _allowed(name: str) -> str:
    """What MLflow takes for a name: no plus sign, as in the mode 'support+query'."""
    return re.sub(r"[^\w\-./: ]", "_", name)
