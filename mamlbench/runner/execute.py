"""Runs one spec and writes one record, however the run ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from mamlbench.api import Emit, Job, Model
from mamlbench.engine import keep_memory
from mamlbench.errors import DivergedError, MamlbenchError
from mamlbench.nn.torch_grad import torch_grad_route
from mamlbench.plugin import Plugins, load_plugins
from mamlbench.record import Measurement, ResultStore, RunRecord, Status, make_record, skipped_parts, utc_now
from mamlbench.run_spec import RunSpec
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.environment import run_environment
from mamlbench.runner.interrupts import interrupts_ignored, interrupts_recorded, sigterm_interrupts
from mamlbench.runner.isolation import isolated, seed_generators
from mamlbench.runner.meter import Meter
from mamlbench.runner.train import TrainingLoop


def perform(
    job: Job,
    emit: Emit | None = None,
    *,
    plugins: Plugins | None = None,
    own_process: bool = False,
    runs_at_once: int = 1,
) -> RunRecord:
    """Run a job in this process and write its record; a launcher calls this in the process of its choice.

    Every run that has started training leaves a record: finished, interrupted (by Ctrl-C or SIGTERM), diverged or
    failed.

    Args:
        job: what to run, and where its record goes.
        emit: called with an event hook's name and its arguments, to be passed on to the launcher's own ``emit``; None:
            events are dropped.
        plugins: those of the job, if they are loaded already.
        own_process: whether this process runs nothing else, before or at the same time: only then is its peak memory
            recorded as the run's.
        runs_at_once: how many runs may share the machine while this one is measured; the record keeps it, and tables
            do not compare its times with those of a run that had the machine to itself.

    Raises a MamlbenchError, and leaves nothing behind, if the run cannot start: missing data, an impossible protocol.
    """
    with sigterm_interrupts(), isolated(job.spec):
        keep_memory()
        plugins = plugins or load_plugins(job.plugins)
        return _run(job, plugins, emit or _no_events, own_process=own_process, runs_at_once=runs_at_once)


def _no_events(hook: str, **arguments: Any) -> None:
    """Emit nothing."""


def _run(job: Job, plugins: Plugins, emit: Emit, *, own_process: bool, runs_at_once: int) -> RunRecord:
    spec, started = job.spec, utc_now()
    meter = Meter(torch.device(spec.device))
    emit("mamlbench_run_started", spec=spec)
    with meter.segment("data"):
        dataset = load_dataset(spec, plugins, job.folders, partial(_emit_preparation, emit, spec))
    with meter.segment("train"):  # building the network and trying engines is warm-up
        on_trial = partial(_emit_trial, emit, spec)
        experiment = build_experiment(spec, plugins, dataset, job.folders.cache, on_trial=on_trial)
    environment = run_environment(spec.device, plugins, spec.precision)
    store = ResultStore(job.folders.results)
    name, attempt = store.reserve(spec, environment.fingerprint)
    seed_generators(spec)
    loop = TrainingLoop(experiment, meter, partial(emit, spec=spec), store.artifacts(name))
    status, reason = _run_to_the_end(loop)
    with interrupts_ignored():
        results = _results(loop) | {
            "reason": reason,
            "measurement": _measurement(loop, own_process=own_process, runs_at_once=runs_at_once),
        }
        record = make_record(spec, environment, status, name=name, attempt=attempt, started=started, **results)
        store.write(name, record)
    return record


def _emit_preparation(emit: Emit, spec: RunSpec, title: str, done: int, total: int) -> None:
    emit("mamlbench_preparing", spec=spec, title=title, done=done, total=total)


def _emit_trial(emit: Emit, spec: RunSpec, engine: str) -> None:
    emit("mamlbench_trying_engine", spec=spec, engine=engine)


def _run_to_the_end(loop: TrainingLoop) -> tuple[Status, str]:
    """How the run ended, and why if it did not finish."""
    with interrupts_recorded() as interrupts:
        try:
            loop.run()
        except KeyboardInterrupt:
            return "interrupted", f"at iteration {loop.progress.iteration}"
        except Exception as error:  # a plugin may raise anything; the record keeps it
            if interrupts:  # torch turns an interrupt inside some of its operations into an error of its own
                return "interrupted", f"at iteration {loop.progress.iteration}"
            return _failure(error, loop.progress.iteration)
    return "finished", ""


def _failure(error: Exception, iteration: int) -> tuple[Status, str]:
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, MamlbenchError):
        return "failed", str(error)
    return "failed", f"{type(error).__name__}: {error} (at iteration {iteration})"


def _measurement(loop: TrainingLoop, *, own_process: bool, runs_at_once: int) -> Measurement:
    progress = loop.progress
    return loop.meter.measurement(
        warmup=progress.warmup,
        iterations=progress.iteration,
        examples=progress.examples,
        to_target=progress.seconds_to_target,
        own_process=own_process,
        runs_at_once=runs_at_once,
    )


def _results(loop: TrainingLoop) -> dict[str, Any]:
    """What a run has achieved so far, as fields of its record."""
    experiment, progress, algorithm = loop.experiment, loop.progress, loop.algorithm
    return {
        "data": experiment.data_facts,
        "parameters": sum(value.numel() for value in algorithm.meta.values()),
        "gradient_order": algorithm.gradient_order,
        "engine": _engine_facts(experiment),
        "curve": progress.curve,
        "selected_iteration": progress.best_iteration,
        "test": progress.test,
        "model": progress.model,
        "checkpoint": progress.checkpoint,
        "episodes": progress.episodes,
        "listener_errors": progress.problems,
        "skipped": skipped_parts(progress.skipped_updates, progress.skipped_validations),
    }


def _engine_facts(experiment: Experiment) -> dict[str, Any]:
    choice, model = experiment.choice, getattr(experiment.algorithm, "model", None)
    return {
        "asked": experiment.spec.engine,
        "name": choice.engine.name,
        "reason": choice.reason,
        "trials": [trial.facts() for trial in choice.trials],
        "torch_grad": torch_grad_route(),
        "network": model.fusion.facts() if isinstance(model, Model) else {},
    }
