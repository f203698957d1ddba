"""Tracker for MLflow: runs of the experiment 'mamlbench', in a local file store or at MLFLOW_TRACKING_URI.

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
from mamlbench_plugins.trackers.packages import require_package

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "mamlbench"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
"""MLflow's status of a run by mamlbench's; the tag 'status' has mamlbench's."""
MAX_LENGTH = 500
"""Longest parameter that every store accepts, in characters."""


class MLflow(Tracker):
    """Sends every number as a metric, and the settings as parameters."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        require_package("mlflow")
        self._client: MlflowClient | None = None
        self._run = ""
        self._epoch = 0.0
        """when the monotonic clock was zero, by the other one: that may jump during a run"""

    def begin(self, name: str, settings: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        self._epoch = time.time() - time.monotonic()
        client = self._connect()
        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment is not None else client.create_experiment(EXPERIMENT)
        self._run = client.create_run(experiment_id, run_name=name).info.run_id
        client.log_batch(
            self._run, params=[Param(_valid_name(key), value[:MAX_LENGTH]) for key, value in settings.items()]
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * (self._epoch + time.monotonic()))
        self._connect().log_batch(
            self._run, metrics=[Metric(_valid_name(name), value, now, step) for name, value in metrics.items()]
        )

    def end(self, status: Any) -> None:
        client = self._connect()
        client.set_tag(self._run, "status", status)
        client.set_terminated(self._run, STATUS[status])

    def _connect(self) -> MlflowClient:
        if self._client is None:
            uri = os.environ.get(URI_VARIABLE)
            if uri is None:  # MLflow prefers a database, and refuses a file store without this variable
                os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
                uri = self.folder.resolve().as_uri()
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=uri)
        return self._client


def _valid_name(name: str) -> str:
    """Replace characters that MLflow does not accept in names, such as the plus sign of the mode 'support+query'."""
    return re.sub(r"[^\w\-./: ]", "_", name)
