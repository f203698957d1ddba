"""Launching: one run in this process; several each in a process of its own, so that their memory can be told apart."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mamlbench.errors import MamlbenchError
from mamlbench.plugin import Plugins, load_plugins
from mamlbench.record import ResultStore, RunRecord
from mamlbench.runner.execute import execute
from mamlbench.runner.surroundings import surroundings
from mamlbench.spec import Folders, RunSpec

Listener = Callable[..., None]
_GRACE_SECONDS = 30


def launch(
    specs: Sequence[RunSpec],
    plugins: Plugins,
    folders: Folders,
    *,
    own_process: bool = True,
    isolated: bool | None = None,
) -> list[RunRecord]:
    """Run every spec, one after the other; listeners of ``plugins`` are told what happens.

    An interrupt ends the run at hand, which leaves its record, and starts none of the rest.

    Args:
        specs: what to run.
        plugins: where names come from and who listens.
        folders: where results go and data lies.
        own_process: whether a single spec may count this process's peak memory as its own.
        isolated: whether each spec gets a process of its own; None: where there are several.

    Raises what a run raises before it starts training (missing data, an impossible protocol).
    """
    records: list[RunRecord] = []
    for spec in specs:
        errors: list[str] = []

        def emit(hook: str, errors: list[str] = errors, **arguments: Any) -> None:
            errors.extend(plugins.notify(hook, **arguments))

        if isolated or (isolated is None and len(specs) > 1) or (own_process and plugins.trackers):
            record = _in_own_process(spec, plugins, folders, emit)
        else:
            record = execute(spec, plugins, folders, emit, own_process=own_process)
        emit("mamlbench_run_finished", spec=spec, record=record)
        if errors:
            record = record.model_copy(update={"listener_errors": sorted({*record.listener_errors, *errors})})
            ResultStore(folders.results).write(record.name, record)
        records.append(record)
        if record.status == "interrupted":
            break
    return records


def _in_own_process(spec: RunSpec, plugins: Plugins, folders: Folders, emit: Listener) -> RunRecord:
    context = multiprocessing.get_context("spawn")  # a forked torch would share its thread pools
    ours, theirs = context.Pipe(duplex=False)
    arguments = (spec.model_dump_json(), folders.model_dump_json(), plugins.files, theirs)
    process = context.Process(target=_worker, args=arguments, name=f"mamlbench-{spec.algorithm.name}")
    process.start()
    theirs.close()
    try:
        outcome = _listen(ours, emit)
    except KeyboardInterrupt:
        outcome = _wait_for_interrupted(process, ours, emit)
    process.join()
    if isinstance(outcome, RunRecord):
        return outcome
    if isinstance(outcome, BaseException):
        raise outcome
    return _lost(spec, plugins, folders, process.exitcode)


def _listen(connection: Connection, emit: Listener, seconds: float = math.inf) -> Any:
    """Pass events on until the worker sends its record or its error; None where it dies without, or time is up."""
    end = time.monotonic() + seconds
    while connection.poll(None if seconds == math.inf else max(0.0, end - time.monotonic())):
        try:
            kind, content = connection.recv()
        except EOFError:
            return None
        if kind == "event":
            hook, arguments = content
            emit(hook, **arguments)
        else:
            return content
    return None


def _wait_for_interrupted(process: BaseProcess, connection: Connection, emit: Listener) -> Any:
    """Give the worker time to write its record. A terminal's Ctrl-C reached it too; another signal may not have."""
    outcome = _listen(connection, emit, 1)
    if outcome is None and process.pid is not None and process.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)
        outcome = _listen(connection, emit, _GRACE_SECONDS)
    if outcome is not None:
        return outcome
    process.kill()
    return KeyboardInterrupt()


def _worker(spec_json: str, folders_json: str, files: Sequence[Path], connection: Connection) -> None:
    """Run one spec in this fresh process; only plain data crosses the border."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler may send it to every process
    try:
        plugins = load_plugins(files)
        record = execute(
            RunSpec.model_validate_json(spec_json),
            plugins,
            Folders.model_validate_json(folders_json),
            lambda hook, **arguments: connection.send(("event", (hook, arguments))),
            own_process=True,
        )
        connection.send(("record", record))
    except (MamlbenchError, KeyboardInterrupt) as error:
        connection.send(("error", error))
    finally:
        connection.close()


def _lost(spec: RunSpec, plugins: Plugins, folders: Folders, exit_code: int | None) -> RunRecord:
    """Record of a worker that died without a word."""
    environment = surroundings(spec.device, plugins)
    store = ResultStore(folders.results)
    stem, attempt = store.reserve(spec, environment.fingerprint)
    killed = exit_code is not None and exit_code < 0
    how = f"killed by signal {-exit_code}" if killed and exit_code else f"exit code {exit_code}"
    record = RunRecord(
        name=stem,
        spec=spec,
        spec_hash=spec.hash,
        fingerprint=environment.fingerprint,
        attempt=attempt,
        status="failed",
        reason=f"the run's process ended without a result ({how}); too little memory is the usual cause",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=environment,
    )
    store.write(stem, record)
    return record
