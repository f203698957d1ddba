"""Launchers: where runs are computed, how many at a time, and how their records come back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from mamlbench.run_spec import Folders, RunSpec
from mamlbench.run_spec.options import Options

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

Emit = Callable[..., None]
"""Tells listeners what happens: ``emit(hook, spec=spec, **arguments)``; plain data, which may have crossed a border."""


class Job(BaseModel):
    """One run that is to be done somewhere: plain data, which can be pickled and written as JSON.

    ``mamlbench.perform(job)`` does it, in whatever process and on whatever machine; ``job.model_dump_json()`` and
    ``Job.model_validate_json(text)`` bring it there where pickles do not go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: RunSpec
    """what to run"""
    folders: Folders
    """where the record and its artifacts are written, where data lies; to be reachable from where it is run"""
    plugins: tuple[Path, ...] = ()
    """single-file plugins to load first"""


class Launcher(ABC):
    """Gets runs done: elsewhere, several at a time, in another order.

    Args:
        options: of the class ``Options``, set with ``-o launcher.NAME=VALUE``.
    """

    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def launch(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunRecord | BaseException]]:
        """Do all jobs and yield each with its outcome when it has ended, in any order; best written as a generator.

        An outcome is the record that ``mamlbench.perform`` returned, or what it raised: another MamlbenchError than
        RunFailedError says that the run could not be started, KeyboardInterrupt that it was interrupted before there
        was anything to record. Any other exception stands for a run that was lost (its process was killed, a network
        failed): a record is written for it that says so.

        An interrupt (KeyboardInterrupt in here), and a record whose status is 'interrupted', end the whole: what runs
        is interrupted and yields its record, nothing more is started. Where the generator is closed, nothing is left
        running either.

        Args:
            jobs: what to do, no two alike.
            emit: to be called, from the thread that iterates, with the events that ``mamlbench.perform`` emits.
        """
