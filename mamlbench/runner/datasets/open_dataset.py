"""Data sets by name: which there are, what lies where, and their preparation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mamlbench.api import DataPaths, Dataset, DatasetInfo, ImageSplit, LocalCopy, ProgressCallback, no_progress
from mamlbench.errors import MamlbenchError
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.plan import validated_options


@dataclass(frozen=True)
class Listed:
    """A registered data set: what was found of it, or what is wrong with it."""

    name: str
    info: DatasetInfo | None = None
    finding: LocalCopy | None = None
    error: str = ""


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready for use. ``images`` and ``classes`` by split; empty where tasks have no classes."""

    name: str
    origin: str
    subset: str | None
    content_hash: str
    seconds: float
    images: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)


def list_datasets(plugins: Plugins, folders: Folders) -> list[Listed]:
    """Look for every registered data set; nothing is decoded or downloaded, and one that is broken hides no other."""
    return [_listed(name, plugins, folders) for name in plugins.registry.names("dataset")]


def _listed(name: str, plugins: Plugins, folders: Folders) -> Listed:
    info = None
    try:
        plugin: type[Dataset] = plugins.registry.load("dataset", name)
        info = plugin.info
        return Listed(name, info, plugin.find_local_copy(dataset_options(name, plugins, {}), data_paths(folders)))
    except MamlbenchError as error:
        return Listed(name, info, error=str(error))
    except Exception as error:  # a stranger's plugin may raise anything; its row says what
        return Listed(name, info, error=f"{type(error).__name__}: {error}")


def prepare_dataset(
    name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders, progress: ProgressCallback = no_progress
) -> Prepared:
    """Prepare a data set, or find it prepared; downloaded where its plugin can.

    Raises ConfigError for an unknown name or option, DataError where the set is missing or damaged.
    """
    start = time.monotonic()
    dataset = open_dataset(name, options, plugins, data_paths(folders, progress))
    pools = {split: pool for split, pool in dataset.splits.items() if isinstance(pool, ImageSplit)}
    return Prepared(
        name,
        dataset.origin,
        dataset.subset,
        dataset.content_hash,
        time.monotonic() - start,
        {split: len(pool.rows) for split, pool in pools.items()},
        {split: len(pool.class_names) for split, pool in pools.items()},
    )


def open_dataset(name: str, options: Mapping[str, Any], plugins: Plugins, paths: DataPaths) -> Dataset:
    """Load a data set by its name. ``options`` may be called 'side' or, as in a run, 'dataset.image_size'."""
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    return plugin(dataset_options(name, plugins, options), paths)


def dataset_options(name: str, plugins: Plugins, options: Mapping[str, Any]) -> Any:
    """Options of a data set, checked. Raises ConfigError with every problem."""
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    bare = {key.removeprefix("dataset."): value for key, value in options.items()}
    return validated_options("dataset", plugin, name, bare)


def data_paths(folders: Folders, progress: ProgressCallback = no_progress) -> DataPaths:
    """Where data sets look, as a run has it."""
    return DataPaths(folders.data, folders.cache, progress=progress)
