"""A user's surroundings: ``mamlbench.toml``, environment variables, the folders that they name."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.spec import Folders

FILE = "mamlbench.toml"
DATA_VARIABLE = "MAMLBENCH_DATA"
CACHE_VARIABLE = "MAMLBENCH_CACHE"


class Project(BaseModel):
    """What ``mamlbench.toml`` may say; its relative paths start at its own folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path | None = Field(None, description="where data sets lie")
    results_dir: Path | None = Field(None, description="where records go; none: results/ in the current folder")
    plugins: tuple[Path, ...] = Field((), description="single-file plugins to load with every command")


def find_project(start: Path) -> Project:
    """Read ``mamlbench.toml`` of this folder or the nearest one above; without any, an empty project.

    Raises ConfigError, with every problem, where the file cannot be read or says what is not known.
    """
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return _resolved(_read(folder / FILE), folder)
    return Project()


def _read(path: Path) -> Project:
    try:
        return Project.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise ConfigError(f"'{path}' cannot be read: {error}.") from error
        raise ConfigError(*(f"'{path}': {_explain(each)}" for each in error.errors())) from error


def _explain(error: object) -> str:
    assert isinstance(error, dict)
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'.{did_you_mean(key, Project.model_fields)}"
    return f"key '{key}': {error['msg']}."


def _resolved(project: Project, folder: Path) -> Project:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    return Project(
        data_dir=absolute(project.data_dir),
        results_dir=absolute(project.results_dir),
        plugins=tuple(folder / path.expanduser() for path in project.plugins),
    )


def data_folders(flag: Path | None, project: Project) -> tuple[tuple[str, Path], ...]:
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
    return Path(variable).expanduser() if variable else user_cache_path("mamlbench")


def folders(project: Project, *, data_dir: Path | None = None, results_dir: Path | None = None) -> Folders:
    """All folders of a command; what is given on the command line comes before the project's."""
    return Folders(
        results=results_dir or project.results_dir or Path("results"),
        data=data_folders(data_dir, project),
        cache=cache_folder(),
    )


def plugin_files(project: Project, given: Iterable[Path]) -> tuple[Path, ...]:
    """The project's single-file plugins, then those named on the command line, each once."""
    return tuple(dict.fromkeys(path.resolve() for path in (*project.plugins, *given)))
