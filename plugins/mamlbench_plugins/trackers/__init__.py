"""Built-in trackers; each needs the extra of its name. The built-in launchers come in by the same entry point."""

from mamlbench import hookimpl
from mamlbench.plugin.spec import Register
from mamlbench_plugins.launchers import mamlbench_register_launchers

__all__ = ["mamlbench_register_launchers", "mamlbench_register_trackers"]


@hookimpl
def mamlbench_register_trackers(register: Register) -> None:
    """Register the built-in trackers."""
    here = "mamlbench_plugins.trackers"
    register("tensorboard", f"{here}.tensorboard:TensorBoard", summary="event files in results/tensorboard")
    register("mlflow", f"{here}.mlflow:MLflow", summary="runs in results/mlflow, or where MLFLOW_TRACKING_URI says")
