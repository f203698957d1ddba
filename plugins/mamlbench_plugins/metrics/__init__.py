"""Built-in metrics."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_metrics(register: Register) -> None:
    """Register the built-in metrics."""
    here = "mamlbench_plugins.metrics"
    register("accuracy", f"{here}.accuracy:Accuracy", summary="share of queries classified right (default)")
    register(
        "worst-class accuracy", f"{here}.accuracy:WorstClassAccuracy", summary="accuracy of an episode's worst class"
    )
    register("macro F1", f"{here}.macro_f1:MacroF1", summary="F1 of each class, averaged over an episode's classes")
    register(
        "negative log-likelihood",
        f"{here}.calibration:NegativeLogLikelihood",
        summary="cross-entropy of the query labels, in nats",
    )
    register(
        "expected calibration error",
        f"{here}.calibration:ExpectedCalibrationError",
        summary="gap between confidence and accuracy, 15 bins",
    )
    register(
        "mean squared error", f"{here}.regression_error:MeanSquaredError", summary="regression (default of regression)"
    )
    register("return", f"{here}.mean_return:MeanReturn", summary="sum of rewards (default of reinforcement)")
    register("mean absolute error", f"{here}.regression_error:MeanAbsoluteError", summary="regression")
