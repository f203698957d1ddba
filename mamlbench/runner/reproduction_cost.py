"""What the runs of a reproduction cost, and whether its data set is there, without running anything."""

from __future__ import annotations

from dataclasses import dataclass

from mamlbench.errors import ConfigError
from mamlbench.plugin import Plugins
from mamlbench.record import ResultStore
from mamlbench.record.reproduction import PlannedReproduction
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.datasets.dataset_status import dataset_status
from mamlbench.runner.environment import run_environment
from mamlbench.runner.suites.completed_runs import RunHistory


@dataclass(frozen=True)
class ReproductionCost:
    """The cost of the runs of one reading."""

    runs: int
    """training seeds"""
    finished: int
    """of them, those that have finished here and are not run again"""
    tasks: int
    """tasks that one run trains on; labeled examples for pretraining"""
    examples: int
    """support and query examples in the training of one run, not counting steps"""
    seconds: float | None
    """estimated wall seconds of all runs to come; None if no similar run is recorded on this machine"""
    data: str
    """state of the data set"""


def reproduction_cost(planned: PlannedReproduction, plugins: Plugins, folders: Folders) -> ReproductionCost:
    """Estimate the cost from the records of similar runs on this machine."""
    history = RunHistory(ResultStore(folders.results))
    first = planned.specs[0]
    environment = run_environment(first.device, plugins, first.precision, first)
    finished = [
        spec
        for spec in planned.specs
        if any(
            record.status == "finished" and record.fingerprint == environment.fingerprint
            for record in history.records_of(spec)
        )
    ]
    waiting = [spec for spec in planned.specs if spec not in finished]
    estimates = [history.estimate(spec, environment) for spec in waiting]
    known = [seconds for seconds in estimates if seconds is not None]
    tasks = first.training.iterations * first.training.meta_batch_size
    return ReproductionCost(
        runs=len(planned.specs),
        finished=len(finished),
        tasks=tasks,
        examples=tasks * _examples_per_task(first, plugins),
        seconds=sum(known) if len(known) == len(estimates) else None,
        data=_data(first, plugins, folders),
    )


def _examples_per_task(spec: RunSpec, plugins: Plugins) -> int:
    if plugins.registry.load("algorithm", spec.algorithm.name).trains_on == "examples":
        return 1
    return spec.training.ways * (spec.training.shots + spec.training.queries)


def _data(spec: RunSpec, plugins: Plugins, folders: Folders) -> str:
    try:
        status = dataset_status(spec.dataset.name, spec.dataset.options, plugins, folders)
    except ConfigError as error:
        return str(error)
    subset = status.local_copy.subset if status.local_copy else None
    parts = (status.state, f"a part of it ({subset})" if subset else "", status.detail)
    return "; ".join(filter(None, parts))
