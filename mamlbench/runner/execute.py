"""Runs one spec and writes one record, however the run ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from mamlbench.api import Emit, Job, Model
from mamlbench.engine import keep_memory
from mamlbench.errors import DivergedError, LostClaimError, MamlbenchError, RunFailedError, describe_error
from mamlbench.interrupts import (
    check_interrupt,
    cleaned_up,
    deferred,
    handled,
    interrupted,
    is_interrupt,
    shielded,
)
from mamlbench.nn.kernels import kernels_to_compile
from mamlbench.nn.torch_grad import torch_grad_route
from mamlbench.plugin import Plugins, load_plugins
from mamlbench.record import (
    Environment,
    Measurement,
    ResultStore,
    RunRecord,
    Status,
    make_record,
    skipped_parts,
    utc_now,
)
from mamlbench.record.file_hashes import hashes_of_files, sealed
from mamlbench.run_spec import RunSpec
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.checkpointer import Checkpointer
from mamlbench.runner.environment import run_environment
from mamlbench.runner.frozen.encoded_dataset import feature_pass
from mamlbench.runner.isolation import isolated, seed_generators
from mamlbench.runner.meter import Meter
from mamlbench.runner.model_inputs import model_inputs
from mamlbench.runner.ranks.following import follow
from mamlbench.runner.ranks.rank_group import Ranks, joined_ranks
from mamlbench.runner.ranks.rank_place import rank_place
from mamlbench.runner.ranks.shares import refuse_unshardable
from mamlbench.runner.resuming import HeldRun, RunFinder, begin_run
from mamlbench.runner.stage_logs import LOG, logged
from mamlbench.runner.train import TrainingLoop

COMPILING_KERNELS = "compiling the kernels for this machine, once; that takes some seconds"
"""Notice of the first run on a machine."""


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

    If torchrun, or a launcher, has started several processes for the run, they compute it together; all return the
    record, and the first one alone writes and emits.

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
    device = torch.device(job.spec.device)
    with handled(), deferred(), joined_ranks(rank_place(), device) as ranks, isolated(job.spec):
        keep_memory()
        plugins = plugins or load_plugins(job.plugins)
        with failures_named(plugins):
            if not ranks.leads:
                return follow(job, plugins, ranks)
            emit = logged(emit or _no_events)
            return _run(job, plugins, emit, ranks, own_process=own_process, runs_at_once=runs_at_once)


def _no_events(hook: str, **arguments: Any) -> None:
    """Emit nothing."""


def _run(job: Job, plugins: Plugins, emit: Emit, ranks: Ranks, *, own_process: bool, runs_at_once: int) -> RunRecord:
    spec, started = job.spec, utc_now()
    meter = Meter(torch.device(spec.device))
    emit("mamlbench_run_started", spec=spec)
    check_interrupt()
    if spec.precision != "bf16" and kernels_to_compile():
        _emit_notice(emit, spec, COMPILING_KERNELS)
    environment = run_environment(spec.device, plugins, spec.precision, spec)
    store = ResultStore(job.folders.results)
    with ExitStack() as claims:
        run = _earlier_run(job, store, environment, emit)
        if isinstance(run, RunRecord):
            ranks.from_leader(run)
            return run
        if run is not None:
            claims.enter_context(run.claim)
        store.refuse_unwritable()
        experiment = _build(job, plugins, meter, emit, run)
        experiment.ranks = ranks
        refuse_unshardable(experiment)
        check_interrupt()
        if run is None:
            run = begin_run(store, spec, environment)
            claims.enter_context(run.claim)
        ranks.from_leader((run.name, environment, experiment.choice.engine.name))
        claims.enter_context(cleaned_up(run.claim.release))
        about = run.about or _about(experiment, environment, started)
        if (begun := about.get("ranks", 1)) != ranks.count:
            run.notices.append(f"begun by {begun} processes and continued by {ranks.count}: equal up to rounding.")
        checkpointer = Checkpointer(
            store.artifacts(run.name),
            meter,
            about,
            seconds=spec.training.checkpoint_seconds,
            own_process=own_process,
            runs_at_once=runs_at_once,
            check=run.claim.check,
        )
        seed_generators(spec)
        loop = TrainingLoop(experiment, meter, partial(emit, spec=spec), checkpointer)
        status, reason = _run_to_the_end(loop, run, plugins)
        with shielded():
            results = _results(loop, status) | {
                "engine": about["engine"],
                "reason": reason,
                "measurement": _measurement(loop, own_process=own_process, runs_at_once=runs_at_once),
            }
            numbers = {"name": run.name, "attempt": run.attempt, "started": about["started"]}
            files = hashes_of_files(store.artifacts(run.name))
            record = sealed(make_record(spec, environment, status, **numbers, **results, files=files))
            run.claim.check()
            path = store.write(run.name, record)
            LOG.info("The run has ended: %s. Its record is %s.", status, path)
            if status == "finished":
                checkpointer.clear()
                ranks.from_leader(record)
        return record


def _earlier_run(job: Job, store: ResultStore, environment: Environment, emit: Emit) -> RunRecord | HeldRun | None:
    """The run that the job is to continue, or its record if it has finished; None if it is to begin."""
    if job.resume is None:
        return None
    notify = partial(_emit_notice, emit, job.spec)
    earlier = RunFinder(store, job.spec, environment, notify=notify).take_up(job.resume)
    if isinstance(earlier, RunRecord):
        notify(f"finished already: '{earlier.name}'. It is not run again.")
    return earlier


def _build(job: Job, plugins: Plugins, meter: Meter, emit: Emit, run: HeldRun | None) -> Experiment:
    """Load the data and build the parts; a run that is continued goes on with the engine it was begun with."""
    spec = job.spec
    with meter.segment("data"):
        dataset = load_dataset(spec, plugins, job.folders, partial(_emit_preparation, emit, spec), training=True)
    with meter.segment("train"):  # building the network and trying engines is warm-up
        engine = run.about.get("engine", {}).get("name") if run else None
        on_trial = partial(_emit_trial, emit, spec)
        return build_experiment(spec, plugins, dataset, job.folders.cache, on_trial=on_trial, engine=engine)


def _about(experiment: Experiment, environment: Environment, started: str) -> dict[str, Any]:
    """What stays the same throughout a run, and the pieces of it that are computed later are to know."""
    inputs = model_inputs(experiment.dataset)
    return {
        "spec": experiment.spec.model_dump(mode="json"),
        "spec_hash": experiment.spec.hash,
        "environment": environment.model_dump(mode="json"),
        "started": started,
        "engine": _engine_facts(experiment),
        **({} if experiment.ranks.alone else {"ranks": experiment.ranks.count}),
        **({} if inputs is None else {"inputs": inputs.model_dump(mode="json")}),
    }


def _emit_notice(emit: Emit, spec: RunSpec, text: str) -> None:
    emit("mamlbench_notice", spec=spec, text=text)


def _emit_preparation(emit: Emit, spec: RunSpec, title: str, done: int, total: int) -> None:
    check_interrupt()
    emit("mamlbench_preparing", spec=spec, title=title, done=done, total=total)


def _emit_trial(emit: Emit, spec: RunSpec, engine: str, seconds: float | None) -> None:
    check_interrupt()
    emit("mamlbench_trying_engine", spec=spec, engine=engine, seconds=seconds)


@contextmanager
def failures_named(plugins: Plugins) -> Iterator[None]:
    """Raise what a plugin raises before the training, whatever it is, as RunFailedError that names plugin and line."""
    try:
        yield
    except MamlbenchError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        if interrupted():  # torch turns an interrupt inside some of its operations into an error of its own
            raise KeyboardInterrupt from error
        blame = plugins.blame(error)
        if not blame:
            raise
        raise RunFailedError(f"{describe_error(error)} (before the training, in {blame})") from error


def _run_to_the_end(loop: TrainingLoop, run: HeldRun, plugins: Plugins) -> tuple[Status, str]:
    """How the run ended, and why if it did not finish. Raises LostClaimError if another process took it over."""
    try:
        for notice in run.notices:
            loop.notice(notice)
        if run.checkpoint is not None:
            iteration = run.checkpoint.content["progress"]["iteration"]
            loop.emit("mamlbench_notice", text=f"goes on from iteration {iteration}")
        loop.run(run.checkpoint)
    except (LostClaimError, GeneratorExit):
        raise
    except BaseException as error:  # a plugin may raise anything, or exit; the record keeps it
        place = f"at iteration {loop.progress.iteration}"
        # torch turns an interrupt inside some of its operations into an error of its own
        if is_interrupt(error) or interrupted():
            return "interrupted", place
        if isinstance(error, DivergedError):
            return "diverged", str(error)
        if isinstance(error, MamlbenchError):
            return "failed", str(error)
        blame = plugins.blame(error)
        return "failed", f"{describe_error(error)} ({place}{blame and f', in {blame}'})"
    return "finished", ""


def _measurement(loop: TrainingLoop, *, own_process: bool, runs_at_once: int) -> Measurement:
    progress = loop.progress
    return loop.meter.measurement(
        warmup=progress.warmup,
        warmup_iterations=progress.warmup_iterations,
        iterations=progress.iteration,
        examples=progress.examples,
        to_target=progress.seconds_to_target,
        own_process=own_process,
        runs_at_once=runs_at_once,
        features=feature_pass(loop.experiment.dataset),
    )


def _results(loop: TrainingLoop, status: Status) -> dict[str, Any]:
    """What a run has achieved so far, as fields of its record."""
    experiment, progress, algorithm = loop.experiment, loop.progress, loop.algorithm
    return {
        "data": experiment.data_facts,
        "parameters": sum(value.numel() for value in algorithm.meta.values()),
        "gradient_order": algorithm.gradient_order,
        "curve": progress.curve,
        "selected_iteration": progress.best_iteration,
        "test": progress.test,
        "model": progress.model,
        "training_data": loop.checkpointer.training_data,
        "checkpoint": None if status == "finished" else progress.checkpoint,
        "episodes": progress.episodes,
        "listener_errors": progress.problems,
        "skipped": skipped_parts(progress.skipped_updates, progress.skipped_validations),
        "notices": progress.notices,
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
