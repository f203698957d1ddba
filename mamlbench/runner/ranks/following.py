"""What every rank of a run but the first does: it computes its share, and writes, emits and prints nothing."""

from __future__ import annotations

from typing import Any

import torch

from mamlbench.api import Job
from mamlbench.errors import RankLostError
from mamlbench.plugin import Plugins
from mamlbench.record import EpisodeFile, RunRecord
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.checkpointer import Checkpointer, restore_random_states
from mamlbench.runner.checkpoints import State, clone
from mamlbench.runner.isolation import seed_generators
from mamlbench.runner.meter import Meter
from mamlbench.runner.ranks.rank_group import LOST, Ranks
from mamlbench.runner.scoring import Scores
from mamlbench.runner.train import PROGRESS, TrainingLoop


class FollowingLoop(TrainingLoop):
    """The training loop of a rank that is not the first one: it begins where the first does, and keeps no file."""

    def _begin(self, earlier: Any) -> None:
        start = self.ranks.from_leader(None)
        device = self.experiment.device
        self.progress = PROGRESS.validate_python(start["progress"])
        self.algorithm.load_state(_on(device, start["state"]))
        self._initial = _on(device, start["initial"])
        self._best_state = None if start["best"] is None else _on(device, start["best"])
        self.guard.initial, self.guard.skipped = self._initial, self.progress.skipped_updates
        self._loss, self._count = _on(device, start["loss"])
        restore_random_states(start["random"])
        self._count_warmup()

    def _checkpoint(self) -> None:
        self.guard.check_state(self.progress.iteration)  # the first rank raises here, too

    def _save_model(self) -> None:
        pass

    def _save_samples(self) -> None:
        pass

    def _write_episodes(self, trained: Scores, untrained: Scores | None) -> EpisodeFile | None:
        return None


def follow(job: Job, plugins: Plugins, ranks: Ranks) -> RunRecord:
    """Compute this rank's share of a run, and return the record that the first rank has written.

    Raises RankLostError if that rank writes none, or one of a run that did not finish.
    """
    answer = ranks.from_leader(None)
    if isinstance(answer, RunRecord):
        return answer
    name, environment, engine = answer
    try:
        return _follow(job, plugins, ranks, engine)
    except RankLostError as error:
        error.run, error.environment = name, environment
        raise
    except KeyboardInterrupt as error:  # torchrun's, perhaps, because another rank has died
        lost = RankLostError(LOST)
        lost.run, lost.environment = name, environment
        raise lost from error


def _follow(job: Job, plugins: Plugins, ranks: Ranks, engine: str) -> RunRecord:
    spec = job.spec
    meter = Meter(torch.device(spec.device))
    with meter.segment("data"):
        dataset = load_dataset(spec, plugins, job.folders, training=True)
    with meter.segment("train"):
        experiment = build_experiment(spec, plugins, dataset, job.folders.cache, engine=engine)
    experiment.ranks = ranks
    seed_generators(spec)
    loop = FollowingLoop(experiment, meter, _emit_nothing, Checkpointer(job.folders.results, meter))
    loop.run()
    record = ranks.from_leader(None)
    if not isinstance(record, RunRecord):
        raise RankLostError(LOST)
    return record


def _emit_nothing(hook: str, **arguments: Any) -> None:
    pass


def _on(device: torch.device, value: State | Any) -> Any:
    """Move every tensor to the device, and copy it."""
    moved = torch.utils._pytree.tree_map(
        lambda leaf: leaf.to(device) if isinstance(leaf, torch.Tensor) else leaf, value
    )
    return clone(moved)
