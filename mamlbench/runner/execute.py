"""One spec in, one record out, whatever happens on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Any

import torch

from mamlbench.api import Emit, Job
from mamlbench.engine import keep_memory
from mamlbench.errors import DivergedError, MamlbenchError
from mamlbench.nn.torch_grad import torch_grad_route
from mamlbench.plugin import Plugins, load_plugins
from mamlbench.record import Environment, ResultStore, RunRecord, Status
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.environment import run_environment
from mamlbench.runner.meter import Meter
from mamlbench.runner.train import Loop

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def perform(job: Job, emit: Emit | None = None, *, own_process: bool = False, runs_at_once: int = 1) -> RunRecord:
    """Do one job in this process: load its plugins, run it, write its record. A launcher calls this where it sees fit.

    A SIGTERM interrupts it as Ctrl-C does: with its record.

    Args:
        job: what to run, and where its record goes.
        emit: called with an event hook's name and its arguments, to be handed on to the launcher's own; None: nobody
            is told.
        own_process: whether this process runs nothing else, before or at the same time: only then is its peak memory
            recorded as the run's.
        runs_at_once: how many runs may share the machine while this one is measured; the record says so, and tables
            do not compare its times with those of a run that had the machine to itself.

    Raises what a run raises before it starts training (a MamlbenchError: missing data, an impossible protocol).
    """
    with _terminated_as_interrupted():
        plugins = load_plugins(job.plugins)
        return execute(
            job.spec, plugins, job.folders, emit or _silence, own_process=own_process, runs_at_once=runs_at_once
        )


def _silence(hook: str, **arguments: Any) -> None:
    """Tell nobody."""


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM for an interrupt: a scheduler sends it to every process. Only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def execute(
    spec: RunSpec, plugins: Plugins, folders: Folders, emit: Emit, *, own_process: bool, runs_at_once: int = 1
) -> RunRecord:
    """Run a spec and write its record.

    Errors before training starts (missing data, an impossible protocol) are raised and leave nothing behind.
    After that every end has a record: finished, interrupted, diverged or failed.

    Args:
        spec: what to run.
        plugins: where its names come from.
        folders: where results go and data lies.
        emit: called with an event hook's name and arguments.
        own_process: whether this process has run nothing else, so that its peak memory is this run's.
        runs_at_once: how many runs may share the machine meanwhile.
    """
    keep_memory()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    meter = Meter(torch.device(spec.device))
    emit("mamlbench_run_started", spec=spec)
    with meter.segment("data"):
        dataset = load_dataset(spec, plugins, folders, partial(_tell_preparation, emit, spec))
    with meter.segment("train"):  # building the network and trying engines is warm-up
        experiment = build_experiment(
            spec,
            plugins,
            dataset,
            folders.cache,
            tell=lambda engine: emit("mamlbench_trying_engine", spec=spec, engine=engine),
        )
    environment = run_environment(spec.device, plugins, spec.precision)
    store = ResultStore(folders.results)
    stem, attempt = store.reserve(spec, environment.fingerprint)
    loop = Loop(experiment, meter, lambda hook, **given: emit(hook, spec=spec, **given), store.artifacts(stem))
    status, reason = _run(loop)
    with _uninterrupted():
        record = _record(
            loop, environment, status, reason, own_process=own_process, runs_at_once=runs_at_once
        ).model_copy(update={"name": stem, "attempt": attempt, "started": started})
        store.write(stem, record)
    return record


def _tell_preparation(emit: Emit, spec: RunSpec, title: str, done: int, total: int) -> None:
    emit("mamlbench_preparing", spec=spec, title=title, done=done, total=total)


def _run(loop: Loop) -> tuple[Status, str]:
    with _signals_seen() as seen:
        try:
            loop.run()
        except KeyboardInterrupt:
            return "interrupted", f"at iteration {loop.progress.iteration}"
        except Exception as error:  # a plugin may raise anything; the record says what
            if seen:  # torch makes an error of its own of an interrupt that comes inside some of its operations
                return "interrupted", f"at iteration {loop.progress.iteration}"
            return _unhappy_end(error, loop.progress.iteration)
    return "finished", ""


def _unhappy_end(error: Exception, iteration: int) -> tuple[Status, str]:
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, MamlbenchError):
        return "failed", str(error)
    return "failed", f"{type(error).__name__}: {error} (at iteration {iteration})"


def _record(
    loop: Loop, environment: Environment, status: Status, reason: str, *, own_process: bool, runs_at_once: int
) -> RunRecord:
    experiment, progress, algorithm = loop.experiment, loop.progress, loop.algorithm
    return RunRecord(
        spec=experiment.spec,
        spec_hash=experiment.spec.hash,
        fingerprint=environment.fingerprint,
        attempt=1,
        status=status,
        reason=reason,
        started="",
        environment=environment,
        data=experiment.facts,
        parameters=sum(value.numel() for value in algorithm.meta.values()),
        gradient_order=algorithm.gradient_order,
        engine=_engine_facts(experiment),
        measurement=loop.meter.measurement(
            warmup=progress.warmup,
            iterations=progress.iteration,
            examples=progress.examples,
            to_target=progress.seconds_to_target,
            own_process=own_process,
            runs_at_once=runs_at_once,
        ),
        curve=progress.curve,
        selected_iteration=progress.best_iteration,
        test=progress.test,
        model=progress.model,
        checkpoint=progress.checkpoint,
        episodes=progress.episodes,
        listener_errors=progress.problems,
    )


def _engine_facts(experiment: Experiment) -> dict[str, Any]:
    choice = experiment.choice
    return {
        "asked": experiment.spec.engine,
        "name": choice.engine.name,
        "reason": choice.reason,
        "trials": [trial.facts() for trial in choice.trials],
        "torch_grad": torch_grad_route(),
    }


@contextmanager
def _signals_seen() -> Iterator[list[int]]:
    """The signals that came while this is open; what they do stays as it is."""
    seen: list[int] = []

    def noting(before: Any) -> Any:
        def handler(number: int, frame: FrameType | None) -> None:
            seen.append(number)
            before(number, frame)

        return handler if callable(before) else before  # ignored, or the system's business

    with _handlers({each: noting(signal.getsignal(each)) for each in _INTERRUPTS}):
        yield seen


def _uninterrupted() -> AbstractContextManager[None]:
    """Let nobody interrupt the writing of the record: a second Ctrl-C comes often."""
    return _handlers(dict.fromkeys(_INTERRUPTS, signal.SIG_IGN))


@contextmanager
def _handlers(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    """Handle signals so; only the main thread can be asked to."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[Any, Any] = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
