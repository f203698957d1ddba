"""The settings that are timed, named after the experiments they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class BenchSetting:
    """The size and kind of work to time.

    Args:
        name: the name for ``--setting``.
        algorithms: algorithms that are timed.
        tasks: tasks in a meta-batch.
        ways, shots, queries, steps: size of an episode; ``steps`` are inner steps.
        shape: shape of one example.
        backbone: registered name.
        work: 'iteration' computes the outer update of one meta-batch; 'evaluation' adapts and predicts; 'training' runs
            an iteration of a training on a data set: drawing the episodes, computing and applying the outer update.
        options: options of the algorithm.
        engines: engines that are timed by default.
        base: default competitor that speedups are relative to.
        memory: whether peak memory is always measured.
        dataset: the data set of a training.
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
        """A description of the setting."""
        shape = "x".join(str(size) for size in self.shape)
        episodes = f"{self.ways}-way {self.shots}-shot, {self.queries} queries, {self.steps} inner steps"
        kind = {"evaluation": "evaluation of", "iteration": "meta-batch of", "training": "training on"}[self.work]
        return f"{self.name}: {kind} {self.dataset} {self.tasks} tasks, {episodes}, {shape}, {self.backbone}"


BOTH = ("maml", "fomaml")
REPTILE: dict[str, Any] = {"inner_batch_size": 10, "inner_lr": 1e-3}
MINI: dict[str, Any] = {"shape": (3, 84, 84), "backbone": "conv4-pooled", "queries": 15}
MAPPED: dict[str, Any] = {"engines": ("vmap", "loop", "plain"), "base": "plain"}
MEMORY: dict[str, Any] = {**MINI, "memory": True, "engines": ("loop", "loop+remat")}

SETTINGS: dict[str, BenchSetting] = {
    setting.name: setting
    for setting in (
        BenchSetting("omniglot-5w1s", BOTH, tasks=32),
        BenchSetting("omniglot-5w5s", BOTH, tasks=32, shots=5, queries=5),
        BenchSetting("omniglot-20w1s", BOTH, tasks=16, ways=20, steps=5),
        BenchSetting("omniglot-5w1s-15q", BOTH, tasks=32, queries=15),
        BenchSetting("mini-5w1s", BOTH, tasks=4, steps=5, **MINI),
        BenchSetting("reptile", ("reptile",), tasks=5, shots=10, queries=0, steps=5, options=REPTILE, **MAPPED),
        BenchSetting("evaluation", ("maml",), tasks=600, steps=3, work="evaluation", **MAPPED),
        BenchSetting("training", BOTH, tasks=32, work="training", dataset="omniglot", engines=("vmap", "loop")),
        *(
            BenchSetting(f"memory-{shots}s-{steps}steps", BOTH, tasks=1, shots=shots, steps=steps, **MEMORY)
            for shots in (1, 5)
            for steps in (10, 50)
        ),
    )
}
