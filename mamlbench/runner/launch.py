"""Launching: one run in this process; several through a launcher, which brings back their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from mamlbench.api import Job, Launcher
from mamlbench.errors import MamlbenchError, RunFailedError
from mamlbench.plugin import Plugins
from mamlbench.record import ResultStore, RunRecord
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.component_options import read_options
from mamlbench.runner.environment import run_environment
from mamlbench.runner.execute import execute

DEFAULT = "processes"
"""Name of the launcher where none is asked for."""

Ended = RunRecord | MamlbenchError | KeyboardInterrupt
"""How a run ended: its record; or why it could not be started; or that it was interrupted before."""


def make_launcher(name: str, options: Mapping[str, Any], plugins: Plugins) -> Launcher:
    """Build a launcher. Raises ConfigError for an unknown name and with every bad option."""
    found: type[Launcher] = plugins.registry.load("launcher", name)
    return found(read_options("launcher", found, name, options))


def launch(
    specs: Sequence[RunSpec],
    plugins: Plugins,
    folders: Folders,
    *,
    own_process: bool = True,
    launcher: Launcher | None = None,
) -> list[RunRecord]:
    """Run every spec; listeners of ``plugins`` are told what happens. Records come in the order of the specs.

    An interrupt ends what runs, which leaves its record, and starts none of the rest.

    Args:
        specs: what to run.
        plugins: where names come from and who listens.
        folders: where results go and data lies.
        own_process: whether a single spec may count this process's peak memory as its own.
        launcher: who runs them; None: a single spec is run in this process, unless a tracker listens there, and several
            one after the other, each in a process of its own.

    Raises what a run raises before it starts training (missing data, an impossible protocol).
    """
    if launcher is None and len(specs) == 1 and not (own_process and plugins.trackers):
        return [_here(specs[0], plugins, folders, own_process=own_process)]
    records: dict[int, RunRecord] = {}
    interrupt: KeyboardInterrupt | None = None
    with closing(launched(specs, plugins, folders, launcher)) as outcomes:
        for number, ended in outcomes:
            if isinstance(ended, MamlbenchError):
                raise ended
            if isinstance(ended, RunRecord):
                records[number] = ended
            else:
                interrupt = ended  # the others still bring their records
    if interrupt is not None:
        raise interrupt
    return [records[number] for number in sorted(records)]


def launched(
    specs: Sequence[RunSpec], plugins: Plugins, folders: Folders, launcher: Launcher | None = None
) -> Generator[tuple[int, Ended], None, None]:
    """Have every spec run by a launcher; yield its place in ``specs`` with how it ended, when it has, in any order.

    Where the launcher is interrupted and yields no more, that is how the runs ended that had begun. One that it has
    forgotten is taken for lost.
    """
    if not specs:
        return
    launcher = launcher or make_launcher(DEFAULT, {}, plugins)
    listeners = _Listeners(plugins, folders)
    jobs = [Job(spec=spec, folders=_anywhere(folders), plugins=plugins.files) for spec in specs]
    waiting = {job.spec.hash: number for number, job in enumerate(jobs)}
    interrupted = False
    try:
        with closing(_generator(launcher.launch(jobs, listeners))) as outcomes:
            for job, outcome in outcomes:
                ended = listeners.ended(job.spec, outcome)
                interrupted |= was_interrupted(ended)
                yield waiting.pop(job.spec.hash), ended
    except KeyboardInterrupt as interrupt:  # from a launcher that leaves it to others
        begun = [number for key, number in waiting.items() if key in listeners.errors]
        yield from ((number, interrupt) for number in begun or list(waiting.values())[:1])
        return
    if not interrupted:
        for number in waiting.values():
            yield number, listeners.ended(specs[number], RunFailedError("the launcher brought no result of this run"))


def was_interrupted(ended: object) -> bool:
    """Whether a run ended so that no other is to be started."""
    return isinstance(ended, KeyboardInterrupt) or (isinstance(ended, RunRecord) and ended.status == "interrupted")


class _Listeners:
    """Tells the listeners what happens, and keeps what they raised until the run's record can name it."""

    def __init__(self, plugins: Plugins, folders: Folders) -> None:
        self.plugins = plugins
        self.folders = folders
        self.errors: defaultdict[str, list[str]] = defaultdict(list)
        """by hash of the spec; each run has an entry that has begun"""

    def __call__(self, hook: str, *, spec: RunSpec, **arguments: Any) -> None:
        """Tell of an event."""
        self.errors[spec.hash].extend(self.plugins.notify(hook, spec=spec, **arguments))

    def ended(self, spec: RunSpec, outcome: RunRecord | BaseException) -> Ended:
        """Tell of the end of a run that has a record; one that was lost gets it now."""
        if isinstance(outcome, KeyboardInterrupt):
            return outcome
        if isinstance(outcome, MamlbenchError) and not isinstance(outcome, RunFailedError):
            return outcome
        record = outcome if isinstance(outcome, RunRecord) else _lost(spec, self.plugins, self.folders, outcome)
        self("mamlbench_run_finished", spec=spec, record=record)
        errors = self.errors[spec.hash]
        if errors:
            record = record.model_copy(update={"listener_errors": sorted({*record.listener_errors, *errors})})
            ResultStore(self.folders.results).write(record.name, record)
        return record


def _here(spec: RunSpec, plugins: Plugins, folders: Folders, *, own_process: bool) -> RunRecord:
    """Run one spec in this process."""
    listeners = _Listeners(plugins, folders)
    record = listeners.ended(spec, execute(spec, plugins, folders, listeners, own_process=own_process))
    assert isinstance(record, RunRecord)
    return record


def _anywhere(folders: Folders) -> Folders:
    """The same folders for a process that stands elsewhere."""
    return Folders(
        results=folders.results.absolute(),
        data=tuple((reason, path.absolute()) for reason, path in folders.data),
        cache=folders.cache.absolute(),
    )


def _generator(outcomes: Iterator[Any]) -> Generator[Any, None, None]:
    """Give any iterator a ``close``, which reaches its own where it has one."""
    yield from outcomes


def _lost(spec: RunSpec, plugins: Plugins, folders: Folders, error: BaseException) -> RunRecord:
    """Record of a run whose worker brought none."""
    environment = run_environment(spec.device, plugins, spec.precision)
    store = ResultStore(folders.results)
    stem, attempt = store.reserve(spec, environment.fingerprint)
    record = RunRecord(
        name=stem,
        spec=spec,
        spec_hash=spec.hash,
        fingerprint=environment.fingerprint,
        attempt=attempt,
        status="failed",
        reason=str(error) if isinstance(error, RunFailedError) else f"{type(error).__name__}: {error}",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=environment,
    )
    store.write(stem, record)
    return record
