"""All hooks of mamlbench. Implement any of them with ``@mamlbench.hookimpl``, and take only the arguments you need.

Registration hooks are called once, when the plugin is loaded. Most get ``register(name, target, summary="...")``;
``target`` is ``"module:Class"``, imported when it is first used, or the class itself. With ``member="NAME"`` the class,
a ``NameFamily`` too, stands for all names ``name:NAME``. Event hooks are called during a run; if one raises an
exception, the record names it and the run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mamlbench.plugin.callbacks import (
    Register,
    RegisterColumn,
    RegisterOptionalPackage,
    RegisterPublished,
    RegisterSpeedrun,
    RegisterSuite,
)
from mamlbench.plugin.markers import hookspec

if TYPE_CHECKING:
    import click

    from mamlbench.record import RunRecord
    from mamlbench.run_spec import RunSpec


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
def mamlbench_register_metrics(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Metric``, each under its own ``name``; a user asks for one with
    ``--metric NAME``.
    """


@hookspec
def mamlbench_register_samplers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.TaskSampler``."""


@hookspec
def mamlbench_register_suites(register: RegisterSuite) -> None:
    """Register suite files by their paths, such as ``Path(__file__).with_name("suite.toml")``."""


@hookspec
def mamlbench_register_speedruns(register: RegisterSpeedrun) -> None:
    """Register TOML files of speedruns, each with a target, its tracks and entries, by their paths.

    The fields are those of ``mamlbench.record.speedrun_target.SpeedrunTarget`` (docs/speedrun.md).
    """


@hookspec
def mamlbench_register_trackers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Tracker``; ``--track NAME`` enables one."""


@hookspec
def mamlbench_register_launchers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Launcher``; ``--launcher NAME`` selects one."""


@hookspec
def mamlbench_register_peers(register: Register) -> None:
    """Register subclasses of ``mamlbench.api.Peer``: other libraries that ``mamlbench bench`` times."""


@hookspec
def mamlbench_register_published(register: RegisterPublished) -> None:
    """Register TOML files of published numbers, such as ``Path(__file__).with_name("published.toml")``.

    A file has tables ``[[group]]``, each with a list ``results`` of numbers and the fields that they share; the fields
    are those of ``mamlbench.record.PublishedNumber``. Tables ``[[reproduction]]`` say how numbers are run again
    (docs/reproduce.md). Files are read by ``mamlbench published``, ``info`` and ``reproduce``.
    """


@hookspec
def mamlbench_report_columns(register: RegisterColumn) -> None:
    """Register columns of the comparison tables; ``mamlbench report --columns default,NAME`` shows them.

    Values are computed from records when a table is made, without torch. If a column raises an exception, its cells
    stay empty and a note below the table says why.
    """


@hookspec
def mamlbench_optional_packages(register: RegisterOptionalPackage) -> None:
    """Declare names that an optional package would register, so that the error for such a name says how to install it.

    ``register("name", "another", install="How to install the package that registers them.")``
    """


@hookspec
def mamlbench_add_commands(cli: click.Group) -> None:
    """Add commands to the command line, with ``cli.add_command`` or ``@cli.command()``."""


@hookspec
def mamlbench_run_started(spec: RunSpec) -> None:
    """Called when the run of ``spec`` begins."""


@hookspec
def mamlbench_preparing(spec: RunSpec, title: str, done: int, total: int) -> None:
    """Called a few times a second while the data set of ``spec`` is prepared.

    ``title`` names the data set; ``done`` of ``total`` images are ready.
    """


@hookspec
def mamlbench_trying_engine(spec: RunSpec, engine: str, seconds: float | None) -> None:
    """Called before the training of ``spec``, when ``--engine auto`` is about to check an engine.

    It may time it too. ``engine`` is its name; ``seconds`` is the estimated time until all engines are tried, None if
    it is not known yet. A compiled engine takes a minute or two of it without output.
    """


@hookspec
def mamlbench_progress(spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
    """Called at every logging interval of the run of ``spec``, after ``step`` meta-iterations.

    ``metrics`` holds the mean training loss since the last call (``loss``) and the clocks so far, in seconds.
    """


@hookspec
def mamlbench_evaluated(
    spec: RunSpec, step: int, split: str, metrics: Mapping[str, float], units: Mapping[str, str]
) -> None:
    """Called after a validation (``split="val"``) or test (``split="test"``) in the run of ``spec``.

    ``step`` meta-iterations are done. ``metrics`` holds the mean score under the name of each metric, such as
    ``{"accuracy": 0.93}``, the one that selects the checkpoint first. ``units`` holds their units: the score of a
    metric in ``%`` is a share, 0 to 1.
    """


@hookspec
def mamlbench_notice(spec: RunSpec, text: str) -> None:
    """Called with a sentence about the run of ``spec`` that is no error, ``text``.

    It goes on from a checkpoint, a damaged one was passed over, or it has finished already.
    """


@hookspec
def mamlbench_run_finished(spec: RunSpec, record: RunRecord) -> None:
    """Called when the run of ``spec`` has ended, for any reason (``record.status``), and its record is written."""
