"""Status of data sets on this machine: whether they are found, prepared, complete; and their preparation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mamlbench.api import Dataset, DatasetInfo, ImageSplit, LocalCopy, ProgressCallback, TaskSplit, no_progress
from mamlbench.errors import ConfigError, MamlbenchError, describe_error
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.datasets.open_dataset import data_paths, dataset_options, open_dataset

DatasetState = Literal["ready", "not prepared", "not looked for", "not found", "broken"]

NAME_A_FOLDER = "name the folder that holds it with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml"


@dataclass(frozen=True)
class SplitStatus:
    """One split: its hash and, if it holds images, their number and the names of the classes."""

    hash: str
    images: int = 0
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetStatus:
    """A data set on this machine.

    Args:
        name: its registered name.
        state: whether it can be used.
        detail: what is wrong, or what to do to get or prepare it.
        info: title, license and citation; None if its plugin cannot be loaded.
        searched: the folders that were searched, with the reason for each.
        local_copy: the copy that was found.
        content_hash: hash of the whole data set; empty until it is prepared.
        input_shape: shape of one example, ``(C, H, W)`` of images; empty until it is prepared.
        splits: the splits by name; empty until it is prepared.
        notes: what was guessed or left out when its files were read, a sentence each; empty until it is prepared.
    """

    name: str
    state: DatasetState
    detail: str = ""
    info: DatasetInfo | None = None
    searched: tuple[str, ...] = ()
    local_copy: LocalCopy | None = None
    content_hash: str = ""
    input_shape: tuple[int, ...] = ()
    splits: Mapping[str, SplitStatus] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def list_datasets(plugins: Plugins, folders: Folders) -> list[DatasetStatus]:
    """Find the local copy of every registered data set, without decoding or downloading; errors become a status."""
    return [_find_or_explain(name, plugins, folders) for name in plugins.registry.names("dataset")]


def dataset_status(name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders) -> DatasetStatus:
    """Find the local copy of a data set, and open it if it is prepared; errors of the data set become a status.

    Raises ConfigError for an unknown name or option.
    """
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    validated = dataset_options(name, plugins, options)
    try:
        status = _find(name, plugin, validated, folders)
        if status.state != "ready":
            return status
        return _with_content(status, open_dataset(name, validated, plugins, data_paths(folders)))
    except ConfigError:
        raise
    except BaseException as error:  # a plugin may raise anything
        if is_interrupt(error):
            raise
        return _broken(name, plugin.info, folders, error)


def prepare_dataset(
    name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders, progress: ProgressCallback = no_progress
) -> DatasetStatus:
    """Prepare a data set unless it is prepared; download it first if its plugin can.

    Raises ConfigError for an unknown name or option, DataError if the data are missing or damaged.
    """
    validated = dataset_options(name, plugins, options)
    dataset = open_dataset(name, validated, plugins, data_paths(folders, progress))
    local_copy = LocalCopy(dataset.origin, subset=dataset.subset, prepared=True)
    status = DatasetStatus(name, "ready", info=dataset.info, searched=_searched(folders), local_copy=local_copy)
    return _with_content(status, dataset)


def _find_or_explain(name: str, plugins: Plugins, folders: Folders) -> DatasetStatus:
    info = None
    try:
        plugin: type[Dataset] = plugins.registry.load("dataset", name)
        info = plugin.info
        return _find(name, plugin, dataset_options(name, plugins, {}), folders)
    except BaseException as error:  # a plugin may raise anything, and must not hide the other data sets
        if is_interrupt(error):
            raise
        return _broken(name, info, folders, error)


def _find(name: str, plugin: type[Dataset], options: Any, folders: Folders) -> DatasetStatus:
    local_copy = plugin.find_local_copy(options, data_paths(folders))
    status = DatasetStatus(name, "ready", "", plugin.info, _searched(folders), local_copy)
    if local_copy is None:
        return replace(status, state="not found", detail=_how_to_get(plugin.info))
    if local_copy.prepared:
        return status
    state: DatasetState = "not looked for" if local_copy.form == "not looked for" else "not prepared"
    return replace(status, state=state, detail=f"'mamlbench data prepare {name}', or the first run, prepares it")


def _with_content(status: DatasetStatus, dataset: Dataset) -> DatasetStatus:
    return replace(
        status,
        content_hash=dataset.content_hash,
        input_shape=tuple(dataset.splits["test"].input_shape),
        splits={name: _split_status(split) for name, split in dataset.splits.items()},
        notes=dataset.notes,
    )


def _split_status(split: TaskSplit) -> SplitStatus:
    if isinstance(split, ImageSplit):
        return SplitStatus(split.hash, len(split.rows), split.class_names)
    return SplitStatus(split.hash)


def _broken(name: str, info: DatasetInfo | None, folders: Folders, error: BaseException) -> DatasetStatus:
    reason = str(error) if isinstance(error, MamlbenchError) else describe_error(error)
    return DatasetStatus(name, "broken", reason, info, _searched(folders))


def _searched(folders: Folders) -> tuple[str, ...]:
    return tuple(f"'{path}' ({reason})" for reason, path in folders.data)


def _how_to_get(info: DatasetInfo) -> str:
    return info.obtain or f"{NAME_A_FOLDER}{f'; see {info.homepage}' if info.homepage else ''}"
