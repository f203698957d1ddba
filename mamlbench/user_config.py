"""User configuration: ``mamlbench.toml``, environment variables, and the folders that they name."""

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
_MAX_BYTES = 1 << 16
DATA_VARIABLE = "MAMLBENCH_DATA"
CACHE_VARIABLE = "MAMLBENCH_CACHE"
KERNELS_VARIABLE = "MAMLBENCH_KERNELS"


@dataclass(frozen=True)
class CompareSettings:
    """The table ``[compare]``."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    fail: tuple[str, ...] = ()
    """thresholds of the gate, written as for ``mamlbench compare --fail``"""


@dataclass(frozen=True)
class UserConfig:
    """Contents of ``mamlbench.toml``; relative paths start at the folder of the file.

    It is a plain dataclass, and pydantic validates it only if there is a file: every command needs it, and importing
    pydantic takes as long as everything else that ``--help`` imports.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    data_dir: Path | None = None
    """folder of the data sets"""
    results_dir: Path | None = None
    """folder of the records; None: results/ in the current folder"""
    plugins: tuple[Path, ...] = ()
    """single-file plugins that every command loads"""
    compare: CompareSettings = CompareSettings()
    """settings of ``mamlbench compare``"""
    trackers: tuple[str, ...] = ()
    """names of the trackers that receive every run"""


def find_user_config(start: Path) -> UserConfig:
    """Read ``mamlbench.toml`` in ``start`` or the nearest folder above it; without one, return the defaults.

    Raises ConfigError, with every problem, if the file cannot be read or has unknown keys or invalid values.
    """
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return _with_absolute_paths(_read(folder / FILE), folder)
    return UserConfig()


def _read(path: Path) -> UserConfig:
    from pydantic import TypeAdapter, ValidationError

    from mamlbench.run_spec import explain
    from mamlbench.run_spec.outside_text import read_limited

    try:
        text = read_limited(path, _MAX_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
        return TypeAdapter(UserConfig).validate_python(tomllib.loads(text))
    except RecursionError as error:
        raise ConfigError(f"'{path}' cannot be read: lists and tables are nested too deeply.") from error
    except ValidationError as error:
        raise ConfigError(*explain(error, (f.name for f in fields(UserConfig)), f"'{path}'", what="key")) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{path}' cannot be read: {error}.") from error


def _with_absolute_paths(config: UserConfig, folder: Path) -> UserConfig:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    return UserConfig(
        data_dir=absolute(config.data_dir),
        results_dir=absolute(config.results_dir),
        plugins=tuple(folder / path.expanduser() for path in config.plugins),
        compare=config.compare,
        trackers=config.trackers,
    )


def data_folders(flag: Path | None, config: UserConfig) -> tuple[tuple[str, Path], ...]:
    """Return the folders to search for data, in this order, each as (reason, folder)."""
    variable = os.environ.get(DATA_VARIABLE)
    candidates = (
        ("--data-dir", flag),
        (DATA_VARIABLE, Path(variable).expanduser() if variable else None),
        (f"data_dir in {FILE}", config.data_dir),
    )
    return tuple((reason, path) for reason, path in candidates if path is not None)


def cache_folder() -> Path:
    """Return the folder for prepared data: MAMLBENCH_CACHE, or the cache folder of the platform."""
    variable = os.environ.get(CACHE_VARIABLE)
    if variable:
        return Path(variable).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("mamlbench")


def kernels_folder() -> Path | None:
    """Return the folder for compiled kernels: MAMLBENCH_KERNELS, or in the cache; None if it is 0 (no kernels)."""
    variable = os.environ.get(KERNELS_VARIABLE)
    if variable == "0":
        return None
    return Path(variable).expanduser() if variable else cache_folder() / "kernels"


def folders(config: UserConfig, *, data_dir: Path | None = None, results_dir: Path | None = None) -> Folders:
    """Return all folders of a command; folders named on the command line take precedence over the configuration."""
    from mamlbench.run_spec import Folders

    return Folders(
        results=results_dir or config.results_dir or Path("results"),
        data=data_folders(data_dir, config),
        cache=cache_folder(),
    )


def plugin_files(config: UserConfig, from_command_line: Iterable[Path]) -> tuple[Path, ...]:
    """Return the single-file plugins of the configuration, then those of the command line, without duplicates."""
    return tuple(dict.fromkeys(path.resolve() for path in (*config.plugins, *from_command_line)))
