"""What is timed: shapes of work, named after the experiments they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Setting:
    """One shape of work.

    Args:
        name: what ``--setting`` calls it.
        algorithms: which algorithms are timed on it.
        tasks: tasks in a meta-batch.
        ways, shots, queries, steps: of an episode; ``steps`` are inner steps.
        shape: of one example.
        backbone: registered name.
        work: 'iteration' is a direction of one meta-batch; 'evaluation' adapts and predicts.
        options: options of the algorithm.
    """

    name: str
    algorithms: tuple[str, ...]
    tasks: int
    shots: int = 1
    queries: int = 1
    steps: int = 1
    ways: int = 5
    shape: tuple[int, ...] = (1, 28, 28)
    backbone: str = "conv4-strided"
    work: Literal["iteration", "evaluation"] = "iteration"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The setting in words."""
        shape = "x".join(str(size) for size in self.shape)
        words = f"{self.ways}-way {self.shots}-shot, {self.queries} queries, {self.steps} inner steps"
        kind = "evaluation of" if self.work == "evaluation" else "meta-batch of"
        return f"{self.name}: {kind} {self.tasks} tasks, {words}, {shape}, {self.backbone}"


BOTH = ("maml", "fomaml")
REPTILE = {"train_batch": 10}

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("omniglot-5w1s", BOTH, tasks=32),
        Setting("omniglot-5w5s", BOTH, tasks=32, shots=5, queries=5),
        Setting("omniglot-20w1s", BOTH, tasks=16, ways=20, steps=5),
        Setting("omniglot-5w1s-15q", BOTH, tasks=32, queries=15),
        Setting("mini-5w1s", BOTH, tasks=4, queries=15, steps=5, shape=(3, 84, 84), backbone="conv4-pooled"),
        Setting("reptile", ("reptile",), tasks=5, shots=10, queries=0, steps=5, options=REPTILE),
        Setting("evaluation", ("maml",), tasks=100, steps=3, work="evaluation"),
    )
}
