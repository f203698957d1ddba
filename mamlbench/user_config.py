"""A user's surroundings: ``mamlbench.toml``, environment variables, the folders that they name."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mamlbench.errors import ConfigError

if TYPE_CHECKING:
    from mamlbench.run_spec import Folders

FILE = "mamlbench.toml"
DATA_VARIABLE = "MAMLBENCH_DATA"
CACHE_VARIABLE = "MAMLBENCH_CACHE"
KERNELS_VARIABLE = "MAMLBENCH_KERNELS"


@dataclass(frozen=True)
class CompareSettings:
    """The table ``[compare]``."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    fail: tuple[str, ...] = ()
    """thresholds of the gate, as ``mamlbench compare --fail`` takes them"""


@dataclass(frozen=True)
class UserConfig:
    """What ``mamlbench.toml`` may say; its relative paths start at its own folder.

    A plain dataclass, and validated only where there is a file: every command asks for it, and importing pydantic
    costs as much as everything else that ``--help`` needs.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    data_dir: Path | None = None
    """where data sets lie"""
    results_dir: Path | None = None
    """where records go; None: results/ in the current folder"""
    plugins: tuple[Path, ...] = ()
    """single-file plugins to load with every command"""
    compare: CompareSettings = CompareSettings()
    """what the gate lets through"""
    trackers: tuple[str, ...] = ()
    """trackers that every run is sent to, by name"""


def find_user_config(start: Path) -> UserConfig:
    """Read ``mamlbench.toml`` of this folder or the nearest one above; without any, an empty project.

    Raises ConfigError, with every problem, where the file cannot be read or says what is not known.
    """
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return _resolved(_read(folder / FILE), folder)
    return UserConfig()


def _read(path: Path) -> UserConfig:
    from pydantic import TypeAdapter, ValidationError

    from mamlbench.run_spec import explain

    try:
        return TypeAdapter(UserConfig).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ConfigError(*explain(error, (f.name for f in fields(UserConfig)), f"'{path}'", what="key")) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{path}' cannot be read: {error}.") from error


def _resolved(project: UserConfig, folder: Path) -> UserConfig:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    return UserConfig(
        data_dir=absolute(project.data_dir),
        results_dir=absolute(project.results_dir),
        plugins=tuple(folder / path.expanduser() for path in project.plugins),
        compare=project.compare,
        trackers=project.trackers,
    )


def data_folders(flag: Path | None, project: UserConfig) -> tuple[tuple[str, Path], ...]:
    """Where data may lie, each place with the reason it is one, in the order in which they are searched."""
    variable = os.environ.get(DATA_VARIABLE)
    found = (
        ("--data-dir", flag),
        (DATA_VARIABLE, Path(variable).expanduser() if variable else None),
        (f"data_dir in {FILE}", project.data_dir),
    )
    return tuple((reason, path) for reason, path in found if path is not None)


def cache_folder() -> Path:
    """Where prepared data is kept: MAMLBENCH_CACHE, else the platform's cache folder."""
    variable = os.environ.get(CACHE_VARIABLE)
    if variable:
        return Path(variable).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("mamlbench")


def kernels_folder() -> Path | None:
    """Where compiled kernels are kept: MAMLBENCH_KERNELS, else in the cache; None where it says 0 (there are none)."""
    variable = os.environ.get(KERNELS_VARIABLE)
    if variable == "0":
        return None
    return Path(variable).expanduser() if variable else cache_folder() / "kernels"


def folders(project: UserConfig, *, data_dir: Path | None = None, results_dir: Path | None = None) -> Folders:
    """All folders of a command; what is given on the command line comes before the project's."""
    from mamlbench.run_spec import Folders

    return Folders(
        results=results_dir or project.results_dir or Path("results"),
        data=data_folders(data_dir, project),
        cache=cache_folder(),
    )


def plugin_files(project: UserConfig, given: Iterable[Path]) -> tuple[Path, ...]:
    """The project's single-file plugins, then those named on the command line, each once."""
    return tuple(dict.fromkeys(path.resolve() for path in (*project.plugins, *given)))
