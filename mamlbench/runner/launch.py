"""Has runs done: one run in this process, several through a launcher, which returns their records."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

from mamlbench.api import Job, Launcher
from mamlbench.errors import (
    ConfigError,
    MamlbenchError,
    RankLostError,
    RunFailedError,
    UnwrittenResultError,
    describe_error,
)
from mamlbench.interrupts import deferred, handled, interrupted, is_pending, prompt, shielded
from mamlbench.plugin import Plugins
from mamlbench.record import Environment, ResultStore, RunRecord, make_record
from mamlbench.record.file_hashes import hashes_of_files, sealed
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.build import refuse_shared_classes
from mamlbench.runner.checkpoint_folder import CheckpointFolder
from mamlbench.runner.component_options import read_options
from mamlbench.runner.environment import run_environment
from mamlbench.runner.execute import perform
from mamlbench.runner.ranks.rank_place import rank_place
from mamlbench.runner.resuming import lost_run
from mamlbench.worker_process import LOGGED, log_again

DEFAULT = "processes"
"""Name of the default launcher."""

DEATH_SECONDS = 3.0
"""Time until the system knows that a process has died."""

RunEnd = RunRecord | MamlbenchError | KeyboardInterrupt
"""How a run ended: its record; why it could not be started; or that it was interrupted before there was a record."""


def make_launcher(name: str, options: Mapping[str, Any], plugins: Plugins) -> Launcher:
    """Build a launcher. Raises ConfigError for an unknown name and with every invalid option."""
    plugin: type[Launcher] = plugins.registry.load("launcher", name)
    return plugin(read_options("launcher", plugin, name, options))


def launch(
    specs: Sequence[RunSpec],
    plugins: Plugins,
    folders: Folders,
    *,
    own_process: bool = True,
    launcher: Launcher | None = None,
    resume: str | None = None,
) -> list[RunRecord]:
    """Run every spec, notify the listeners of ``plugins``, and return the records in the order of the specs.

    An interrupt ends the current run, which leaves its record, and starts none of the others.

    Args:
        specs: what to run.
        plugins: names come from them, and events go to them.
        folders: where results go and data lies.
        own_process: whether a single spec may count this process's peak memory as its own.
        launcher: runs the jobs; None: a single spec is run in this process, unless there is a tracker, and several one
            after the other, each in a process of its own.
        resume: None: new runs; '': go on with the latest unfinished run of each spec, and do not repeat a finished one;
            else the name of the run to go on with.

    Raises what a run raises before it starts training (missing data, an impossible protocol).
    """
    if resume is None:  # before a run imports what takes seconds, and once for all of them
        for spec in {_data_key(spec): spec for spec in specs}.values():
            refuse_shared_classes(spec, plugins, folders)
    if rank_place().count > 1:
        return [_run_with_other_ranks(specs, plugins, folders, launcher, resume, own_process=own_process)]
    if launcher is None and len(specs) == 1 and not (own_process and plugins.trackers):
        return [_run_here(specs[0], plugins, folders, resume, own_process=own_process)]
    records: dict[int, RunRecord] = {}
    interrupt: KeyboardInterrupt | None = None
    with closing(launch_each(specs, plugins, folders, launcher, resume)) as ends:
        for index, end in ends:
            if isinstance(end, MamlbenchError):
                raise end
            if isinstance(end, RunRecord):
                records[index] = end
            else:
                interrupt = end  # the runs that had begun still yield their records
    if interrupt is not None:
        raise interrupt
    return [records[index] for index in sorted(records)]


def _data_key(spec: RunSpec) -> tuple[str, bool]:
    """Equal for runs on the same data."""
    return spec.dataset.model_dump_json(), spec.training.allow_leak


def launch_each(
    specs: Sequence[RunSpec],
    plugins: Plugins,
    folders: Folders,
    launcher: Launcher | None = None,
    resume: str | None = None,
    *,
    attach: bool = False,
) -> Generator[tuple[int, RunEnd], None, None]:
    """Run every spec by a launcher; yield its index in ``specs`` and how it ended, in the order in which runs end.

    If the launcher is interrupted and yields no more, that is how the runs ended that had begun, or the next one if
    none had. A run that the launcher never yields otherwise is recorded as lost. ``resume`` is that of ``launch``.
    With ``attach`` only those runs are followed that an earlier launcher started and that still run.
    """
    if not specs:
        return
    launcher = launcher or make_launcher(DEFAULT, {}, plugins)
    events = _Events(plugins, folders)
    with handled(), deferred():
        yield from _launched(specs, launcher, events, resume, attach=attach)


def _launched(
    specs: Sequence[RunSpec], launcher: Launcher, events: _Events, resume: str | None, *, attach: bool
) -> Iterator[tuple[int, RunEnd]]:
    absolute = _absolute(events.folders)
    jobs = [Job(spec=spec, folders=absolute, plugins=events.plugins.files, resume=resume) for spec in specs]
    waiting = {job.spec.hash: index for index, job in enumerate(jobs)}
    ended_by_interrupt = False
    try:
        ends = launcher.attach(jobs, events) if attach else launcher.launch(jobs, events)
        with closing(_closable(ends)) as outcomes:
            for job, outcome in _promptly(outcomes):
                end = events.finish(job.spec, outcome)
                ended_by_interrupt |= was_interrupted(end)
                yield waiting.pop(job.spec.hash), end
    except KeyboardInterrupt as interrupt:  # from a launcher that does not handle it
        yield from _left_by_interrupt(waiting, events, interrupt)
        return
    if ended_by_interrupt:
        return
    if interrupted():  # when the last work of a run was done already: that one has finished, no other was started
        yield from _left_by_interrupt(waiting, events, KeyboardInterrupt())
        return
    for index in () if attach else waiting.values():
        yield index, events.finish(specs[index], RunFailedError("the launcher returned no result of this run"))


def _left_by_interrupt(
    waiting: Mapping[str, int], events: _Events, interrupt: KeyboardInterrupt
) -> list[tuple[int, RunEnd]]:
    """The runs that had begun and never ended, by hash of their specs; the next one if there are none."""
    begun = [index for key, index in waiting.items() if key in events.errors]
    return [(index, interrupt) for index in begun or list(waiting.values())[:1]]


def was_interrupted(end: object) -> bool:
    """Whether a run ended in such a way that no other may be started."""
    return isinstance(end, KeyboardInterrupt) or (isinstance(end, RunRecord) and end.status == "interrupted")


class _Events:
    """Notifies the listeners, and keeps the errors that they raise until the run's record can name them."""

    def __init__(self, plugins: Plugins, folders: Folders) -> None:
        self.plugins = plugins
        self.folders = folders
        self.errors: defaultdict[str, list[str]] = defaultdict(list)
        """by hash of the spec; every run that has begun has an entry"""

    def __call__(self, hook: str, *, spec: RunSpec, **arguments: Any) -> None:
        """Emit an event; what a worker logs is logged here."""
        if hook == LOGGED:
            log_again(arguments["record"])
            return
        self.errors[spec.hash].extend(self.plugins.notify(hook, spec=spec, **arguments))

    def finish(self, spec: RunSpec, outcome: RunRecord | BaseException) -> RunEnd:
        """Emit the end of a run that has a record; a run that was lost gets its record here."""
        if isinstance(outcome, KeyboardInterrupt):
            return outcome
        if isinstance(outcome, MamlbenchError) and not isinstance(outcome, RunFailedError):
            return outcome
        try:
            record = (
                outcome if isinstance(outcome, RunRecord) else _record_lost(spec, self.plugins, self.folders, outcome)
            )
        except MamlbenchError as error:  # the disk is full, or the folder cannot be written any more
            return error
        self("mamlbench_run_finished", spec=spec, record=record)
        errors = self.errors[spec.hash]
        if errors:
            record = sealed(record.model_copy(update={"listener_errors": sorted({*record.listener_errors, *errors})}))
            with suppress(UnwrittenResultError):  # the record is there, without these errors
                ResultStore(self.folders.results).write(record.name, record)
        return record


def _run_here(spec: RunSpec, plugins: Plugins, folders: Folders, resume: str | None, *, own_process: bool) -> RunRecord:
    events = _Events(plugins, folders)
    job = Job(spec=spec, folders=folders, plugins=plugins.files, resume=resume)
    with handled(), deferred():
        outcome: RunRecord | RunFailedError
        try:
            outcome = perform(job, events, plugins=plugins, own_process=own_process)
        except RunFailedError as error:  # a plugin failed before the training
            outcome = error
        record = events.finish(spec, outcome)
    assert isinstance(record, RunRecord)
    return record


def _run_with_other_ranks(
    specs: Sequence[RunSpec],
    plugins: Plugins,
    folders: Folders,
    launcher: Launcher | None,
    resume: str | None,
    *,
    own_process: bool,
) -> RunRecord:
    """Compute a run in this process together with others that torchrun has started. Raises ConfigError for several."""
    if len(specs) > 1 or launcher is not None:
        raise ConfigError(
            "torchrun starts the processes of one run: name one --algo and no --seeds, launcher or --workers. Without "
            "torchrun, --workers N computes each of several runs in N processes."
        )
    (spec,) = specs
    if rank_place().rank == 0:
        return _run_here(spec, plugins, folders, resume, own_process=own_process and not plugins.trackers)
    with handled(), deferred():
        try:
            return perform(Job(spec=spec, folders=folders, plugins=plugins.files, resume=resume), plugins=plugins)
        except RankLostError as error:
            if isinstance(error.environment, Environment) and rank_place().rank == 1:
                _record_for_first_rank(error.run, error.environment, spec, plugins, folders)
            raise


def _record_for_first_rank(
    name: str, environment: Environment, spec: RunSpec, plugins: Plugins, folders: Folders
) -> None:
    """Write the record of a run whose first process was killed; if that lives, it writes the record itself."""
    store = ResultStore(folders.results)
    end = time.monotonic() + DEATH_SECONDS
    with shielded():  # torchrun ends all processes if one has died
        while time.monotonic() < end and not store.record_path(name).exists():
            lost = lost_run(store, spec, environment.fingerprint)
            if lost is not None and lost[0] == name:
                error = RunFailedError("the first process of the run was killed")
                _record_lost(spec, plugins, folders, error, environment)
                return
            time.sleep(0.05)


def _absolute(folders: Folders) -> Folders:
    """The same folders for a process with another working folder."""
    return Folders(
        results=folders.results.absolute(),
        data=tuple((reason, path.absolute()) for reason, path in folders.data),
        cache=folders.cache.absolute(),
    )


def _promptly(outcomes: Generator[Any, Any, Any]) -> Iterator[Any]:
    """Yield what a launcher does, and let interrupts reach it at once; elsewhere they wait until it is asked again."""
    while True:
        try:
            if is_pending():
                outcome = outcomes.throw(KeyboardInterrupt())
            else:
                with prompt():
                    outcome = next(outcomes)
        except StopIteration:
            return
        yield outcome


def _closable(outcomes: Iterator[Any]) -> Generator[Any, None, None]:
    """Make any iterator a generator, whose ``close`` closes the iterator too if it can be closed."""
    yield from outcomes


def _record_lost(
    spec: RunSpec,
    plugins: Plugins,
    folders: Folders,
    error: BaseException,
    environment: Environment | None = None,
) -> RunRecord:
    """Write the record of a run whose process returned none."""
    environment = environment or run_environment(spec.device, plugins, spec.precision, spec)
    store = ResultStore(folders.results)
    name, attempt = lost_run(store, spec, environment.fingerprint) or store.reserve(spec, environment.fingerprint)
    checkpoint, _ = CheckpointFolder(store.artifacts(name)).read()
    left: dict[str, Any] = (
        {"checkpoint": f"{name}/{checkpoint.path.name}", "started": checkpoint.about["started"]} if checkpoint else {}
    )
    reason = str(error) if isinstance(error, RunFailedError) else describe_error(error)
    left["files"] = hashes_of_files(store.artifacts(name))
    record = sealed(make_record(spec, environment, "failed", name=name, attempt=attempt, reason=reason, **left))
    store.write(name, record)
    return record
