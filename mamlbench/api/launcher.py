"""Launchers run jobs, on any machine and several at a time, and return their records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from mamlbench.errors import ConfigError
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.run_spec.options import Options

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

Emit = Callable[..., None]
"""Calls an event hook, ``emit(hook, spec=spec, **arguments)``, with plain data, perhaps from another process."""


class Job(BaseModel):
    """One run to do: plain data that can be pickled and written as JSON.

    ``mamlbench.perform(job)`` runs it, in any process and on any machine. ``job.model_dump_json()`` and
    ``Job.model_validate_json(text)`` send it to where pickles cannot be sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: RunSpec
    """the run"""
    folders: Folders
    """folders of results and of data, on a file system that the running machine can access"""
    plugins: tuple[Path, ...] = ()
    """single-file plugins to load first"""
    resume: str | None = Field(None, description="run to continue, by name; '': the latest unfinished one of this spec")


class Launcher(ABC):
    """Runs jobs: in other processes or on other machines, several at a time, in any order.

    Args:
        options: of the class ``Options``, set with ``-o launcher.NAME=VALUE``.
    """

    Options: ClassVar[type[Options]] = Options
    elsewhere: ClassVar[bool] = False
    """Whether runs happen on other machines: then a cell is complete if the same code finished it on any machine, as
    with ``--join``, and not only in an environment like that of the launching process."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def launch(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunRecord | BaseException]]:
        """Run all jobs and yield each with its result when it has ended, in any order; usually a generator.

        A result is the record that ``mamlbench.perform`` returned, or the exception that it raised. A MamlbenchError
        other than RunFailedError means that the run could not be started, KeyboardInterrupt that it was interrupted
        before there was anything to record. Any other exception means that the run was lost, because its process was
        killed or a network failed; a record of that is written.

        A KeyboardInterrupt in this method, or a record with the status 'interrupted', ends all jobs: running ones are
        interrupted and yield their records, and no further one is started. If the generator is closed, no job may be
        left running.

        Args:
            jobs: the jobs, all different.
            emit: call it, in the thread that iterates, with the events that ``mamlbench.perform`` emits.
        """

    def attach(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunRecord | BaseException]]:
        """As ``launch``, for those of the jobs that an earlier launcher started and that still run; start none.

        Raises ConfigError, as this one does, if runs of this launcher end with it.
        """
        raise ConfigError(
            "Runs of this launcher end with the command that started them, so there is nothing to attach to: "
            "leave out --attach, and unfinished cells go on from their checkpoints."
        )
