"""What is learned and how it is judged: loss, number of outputs, metrics."""

from mamlbench.objectives.metric import Metric, TaskKind
from mamlbench.objectives.objective import Classification, Objective, Regression

__all__ = ["Classification", "Metric", "Objective", "Regression", "TaskKind"]
