"""Every hook there is. Implement any of them with ``@mamlbench.hookimpl``; take only the arguments you need.

Registration hooks get ``register(name, target, summary="...")``. ``target`` is ``"module:Class"``, imported when
it is first used, or the class itself in a single-file plugin. Event hooks are told what happens; one that raises
is named in the record and never costs a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mamlbench.plugin.markers import hookspec

if TYPE_CHECKING:
    import click

    from mamlbench.record import RunRecord
    from mamlbench.run_spec import RunSpec


class Register(Protocol):
    """The callback that registration hooks receive; call it once per name."""

    def __call__(self, name: str, target: str | type, *, summary: str = "") -> None:
        """Register ``target`` under ``name``."""


class RegisterColumn(Protocol):
    """The callback that ``mamlbench_report_columns`` receives; call it once per column."""

    def __call__(
        self,
        name: str,
        value: str | Callable[[Any], float | str | None],
        *,
        heading: str = "",
        unit: str = "",
        lower_is_better: bool | None = None,
        of: Literal["record", "records"] = "record",
        about: str = "",
        measures_machine: bool = False,
    ) -> None:
        """Register a column.

        Args:
            name: small letters, digits and underscores; what ``--columns`` and ``--sort`` take.
            value: a function, or ``"module:function"``, imported when the column is first shown. It gets a
                ``RunRecord`` (or, where ``of="records"``, the list of all in one row) and returns a number, a text, or
                None where there is nothing to show.
            heading: what stands above the column; the name where empty.
            unit: behind the heading; with ``"%"`` numbers are fractions of 1, shown as percent.
            lower_is_better: the direction in which ``--sort`` puts the best first and the best cells are marked; None
                where more is neither better nor worse.
            of: ``"record"``: asked for each training seed, numbers are averaged, different texts joined by commas;
                ``"records"``: asked once for each row, of all its training seeds.
            about: one line, shown where the page explains its columns.
            measures_machine: a time, a memory, an energy: rows from another machine are set apart.
        """


class RegisterOptionalPackage(Protocol):
    """The callback of ``mamlbench_optional_packages``; call it once per package."""

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
    """Register subclasses of ``mamlbench.api.Dataset``."""


@hookspec
def mamlbench_register_samplers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.TaskSampler``."""


class RegisterSuite(Protocol):
    """The callback for suites; call it once per name."""

    def __call__(self, name: str, target: str | Path, *, summary: str = "") -> None:
        """Register the TOML file ``target`` under ``name``."""


@hookspec
def mamlbench_register_suites(register: RegisterSuite) -> None:
    """Register suite files by their paths, such as ``Path(__file__).with_name("suite.toml")``."""


@hookspec
def mamlbench_register_trackers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Tracker``; a user switches them on with ``--track NAME``."""


@hookspec
def mamlbench_register_launchers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Launcher``; a user chooses one with ``--launcher NAME``."""


@hookspec
def mamlbench_register_peers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Peer``: other libraries, timed by ``mamlbench bench``."""


class RegisterPublished(Protocol):
    """The callback for published numbers; call it once per file."""

    def __call__(self, file: str | Path) -> None:
        """Register a TOML file."""


@hookspec
def mamlbench_register_published(register: RegisterPublished) -> None:
    """Register TOML files of published numbers, such as ``Path(__file__).with_name("published.toml")``.

    Here ``register(file)`` takes nothing but the file. It has tables ``[[group]]``, each with ``results``, a list of
    numbers, and beside it whatever they share; the fields are those of ``mamlbench.record.PublishedNumber``. It is read
    when ``mamlbench published`` or ``mamlbench info`` asks for it.
    """


@hookspec
def mamlbench_report_columns(register: RegisterColumn) -> None:
    """Bring columns of the comparison tables; ``mamlbench report --columns default,NAME`` shows them.

    They are asked for when a table is made, from records alone: a file that only brings columns has no need of torch.
    A column that fails leaves its cells empty, with one sentence below the table.
    """


@hookspec
def mamlbench_optional_packages(known: RegisterOptionalPackage) -> None:
    """Name what a package that may be missing would register, so that who asks for it reads how to install it.

    ``known("name", "another", install="How to install what brings them.")`` is called once per package.
    """


@hookspec
def mamlbench_add_commands(cli: click.Group) -> None:
    """Add commands of your own to the command line, with ``cli.add_command`` or ``@cli.command()``."""


@hookspec
def mamlbench_run_started(spec: RunSpec) -> None:
    """A run of ``spec`` begins."""


@hookspec
def mamlbench_preparing(spec: RunSpec, title: str, done: int, total: int) -> None:
    """The data set ``title`` is being prepared for ``spec``, once: ``done`` of ``total`` images are.

    Called a few times a second.
    """


@hookspec
def mamlbench_trying_engine(spec: RunSpec, engine: str) -> None:
    """Before training, ``--engine auto`` is about to check ``engine``, and perhaps to time it.

    ``engine`` is the name of one of those among which it chooses for ``spec``; a compiled one takes a minute or two.
    """


@hookspec
def mamlbench_progress(spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
    """``step`` meta-iterations of ``spec`` are done; called at the logging interval.

    ``metrics`` holds the mean training loss since the last call (``loss``) and the clocks so far in seconds.
    """


@hookspec
def mamlbench_evaluated(spec: RunSpec, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """The model of ``spec`` was validated (``split='val'``) or tested (``split='test'``) after ``step`` iterations.

    ``metrics`` holds the mean score under the name of the problem's metric, e.g. ``{"accuracy": 0.93}``.
    """


@hookspec
def mamlbench_run_finished(spec: RunSpec, record: RunRecord) -> None:
    """The run of ``spec`` ended, for whatever reason (see ``record.status``), and its record is written."""
