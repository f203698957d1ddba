"""Types of the callbacks that registration hooks receive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol


class Register(Protocol):
    """Callback of most registration hooks; call it once per name."""

    def __call__(self, name: str, target: str | type, *, summary: str = "", member: str = "") -> None:
        """Register a class under a name, or under all names ``name:MEMBER``.

        Args:
            name: the name that users type; of a family, what comes before the colon.
            target: ``"module:Class"``, imported when it is first used; or the class itself, which for a family is a
                subclass of ``mamlbench.api.NameFamily`` too.
            summary: one line for ``mamlbench list``.
            member: makes it a family: the word that stands for its members wherever names are listed, such as ``NAME``
                or ``FILE``.
        """


class RegisterSuite(Protocol):
    """Callback of ``mamlbench_register_suites``; call it once per name."""

    def __call__(self, name: str, target: str | Path, *, summary: str = "") -> None:
        """Register the TOML file ``target`` under ``name``."""


class RegisterSpeedrun(Protocol):
    """Callback of ``mamlbench_register_speedruns``; call it once per target."""

    def __call__(self, name: str, target: str | Path, *, summary: str = "") -> None:
        """Register the TOML file ``target`` of a speedrun's target and entries under ``name``."""


class RegisterPublished(Protocol):
    """Callback of ``mamlbench_register_published``; call it once per file."""

    def __call__(self, file: str | Path) -> None:
        """Register a TOML file of published numbers."""


class RegisterOptionalPackage(Protocol):
    """Callback of ``mamlbench_optional_packages``; call it once per package."""

    def __call__(self, *names: str, install: str) -> None:
        """Declare the names that a package would register.

        Args:
            *names: names of algorithms, data sets, samplers, ...
            install: how to install the package: full sentences.
        """


class RegisterColumn(Protocol):
    """Callback of ``mamlbench_report_columns``; call it once per column."""

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
            name: the name for ``--columns`` and ``--sort``: lower-case letters, digits and underscores.
            value: a function, or ``"module:function"``, imported when the column is first shown. It takes a
                ``RunRecord`` (with ``of="records"``, the list of all records of a row) and returns a number, a text, or
                None for an empty cell.
            heading: heading of the column; the name if empty.
            unit: shown after the heading; with ``"%"``, numbers are fractions of 1 and shown as percent.
            lower_is_better: which numbers ``--sort`` puts first and which cells are marked as best; None if neither
                direction is better.
            of: ``"record"``: the function is called for every training seed; numbers are averaged, different texts are
                joined by commas. ``"records"``: it is called once per row, with the records of all training seeds.
            about: one line that explains the column on the HTML page.
            measures_machine: whether the value is a time, a memory size or an energy; values from different machines
                are then not compared.
        """
