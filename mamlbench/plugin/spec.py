"""Every hook there is. Implement any of them with ``@mamlbench.hookimpl``; take only the arguments you need.

Registration hooks get ``register(name, target, summary="...")``. ``target`` is ``"module:Class"``, imported when
it is first used, or the class itself in a single-file plugin. Event hooks are told what happens; one that raises
is named in the record and never costs a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from mamlbench.plugin.markers import hookspec

if TYPE_CHECKING:
    import click

    from mamlbench.record import RunRecord
    from mamlbench.spec import RunSpec


class Register(Protocol):
    """The callback that registration hooks receive; call it once per name."""

    def __call__(self, name: str, target: str | type, *, summary: str = "") -> None:
        """Register ``target`` under ``name``."""


class KnownElsewhere(Protocol):
    """The callback of ``mamlbench_known_elsewhere``; call it once per package."""

    def __call__(self, *names: str, install: str) -> None:
        """Say of ``names``, which another package registers, how that is installed: sentences, ending in a stop."""


@hookspec
def mamlbench_register_algorithms(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Algorithm``."""


@hookspec
def mamlbench_register_backbones(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Backbone``."""


@hookspec
def mamlbench_register_datasets(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.TaskSource``."""


@hookspec
def mamlbench_register_samplers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.TaskSampler``."""


@hookspec
def mamlbench_register_trackers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Tracker``; a user switches them on with ``--track NAME``."""


@hookspec
def mamlbench_register_peers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Peer``: other libraries, timed by ``mamlbench bench``."""


@hookspec
def mamlbench_known_elsewhere(known: KnownElsewhere) -> None:
    """Name what a package that may be missing would register, so that who asks for it reads how to install it.

    ``known("name", "another", install="How to install what brings them.")`` is called once per package.
    """


@hookspec
def mamlbench_add_commands(cli: click.Group) -> None:
    """Add commands of your own to the command line."""


@hookspec
def mamlbench_run_started(spec: RunSpec) -> None:
    """A run begins."""


@hookspec
def mamlbench_preparing(spec: RunSpec, title: str, done: int, total: int) -> None:
    """A data set is being prepared, once: ``done`` of ``total`` pictures; called a few times a second."""


@hookspec
def mamlbench_progress(spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
    """``step`` meta-iterations are done; called at the logging interval with the mean training loss since."""


@hookspec
def mamlbench_evaluated(spec: RunSpec, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """The model was validated (``split='val'``) or tested (``split='test'``) after ``step`` iterations.

    ``metrics`` holds the mean score under the name of the problem's metric, e.g. ``{"accuracy": 0.93}``.
    """


@hookspec
def mamlbench_run_finished(spec: RunSpec, record: RunRecord) -> None:
    """A run ended, for whatever reason (see ``record.status``), and its record is written."""
