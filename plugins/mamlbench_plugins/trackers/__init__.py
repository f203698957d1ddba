"""Built-in trackers; each needs the optional dependency of its name."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_trackers(register: Register) -> None:
    """Register the built-in trackers."""
    here = "mamlbench_plugins.trackers"
    register("tensorboard", f"{here}.tensorboard:TensorBoard", summary="event files in results/tensorboard")
    register("mlflow", f"{here}.mlflow:MLflow", summary="runs in results/mlflow, or at MLFLOW_TRACKING_URI")
    register("wandb", f"{here}.wandb:WandB", summary="runs in results/wandb; online with WANDB_MODE=online")
