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
        work: 'iteration' is a direction of one meta-batch; 'evaluation' adapts and predicts; 'training' is an iteration
            of a whole training on a data set: drawing the episodes, direction, outer step.
        options: options of the algorithm.
        engines: which are timed unless others are asked for.
        base: whom speeds are relative to, unless another is asked for.
        memory: whether peak memory is measured whether or not it is asked for.
        dataset: of a training.
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
    work: Literal["iteration", "evaluation", "training"] = "iteration"
    options: dict[str, Any] = field(default_factory=dict)
    engines: tuple[str, ...] = ("vmap", "vmap+remat", "loop", "loop+remat")
    base: str = "loop"
    memory: bool = False
    dataset: str = ""

    @property
    def title(self) -> str:
        """The setting in words."""
        shape = "x".join(str(size) for size in self.shape)
        words = f"{self.ways}-way {self.shots}-shot, {self.queries} queries, {self.steps} inner steps"
        kind = {"evaluation": "evaluation of", "iteration": "meta-batch of", "training": "training on"}[self.work]
        return f"{self.name}: {kind} {self.dataset} {self.tasks} tasks, {words}, {shape}, {self.backbone}"


BOTH = ("maml", "fomaml")
REPTILE: dict[str, Any] = {"inner_batch_size": 10, "inner_lr": 1e-3}
MINI: dict[str, Any] = {"shape": (3, 84, 84), "backbone": "conv4-pooled", "queries": 15}
MAPPED: dict[str, Any] = {"engines": ("vmap", "loop", "plain"), "base": "plain"}

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("omniglot-5w1s", BOTH, tasks=32),
        Setting("omniglot-5w5s", BOTH, tasks=32, shots=5, queries=5),
        Setting("omniglot-20w1s", BOTH, tasks=16, ways=20, steps=5),
        Setting("omniglot-5w1s-15q", BOTH, tasks=32, queries=15),
        Setting("mini-5w1s", BOTH, tasks=4, steps=5, **MINI),
        Setting("reptile", ("reptile",), tasks=5, shots=10, queries=0, steps=5, options=REPTILE, **MAPPED),
        Setting("evaluation", ("maml",), tasks=600, steps=3, work="evaluation", **MAPPED),
        Setting("training", BOTH, tasks=32, work="training", dataset="omniglot", engines=("vmap", "loop")),
        *(
            Setting(
                f"memory-{shots}s-{steps}steps",
                BOTH,
                tasks=1,
                shots=shots,
                steps=steps,
                memory=True,
                engines=("loop", "loop+remat"),
                **MINI,
            )
            for shots in (1, 5)
            for steps in (10, 50)
        ),
    )
}
