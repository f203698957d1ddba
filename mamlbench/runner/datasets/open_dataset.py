"""Opens a data set by its name and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamlbench.api import DataPaths, Dataset, ProgressCallback, no_progress
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.plan import validated_options


def open_dataset(name: str, options: Mapping[str, Any], plugins: Plugins, paths: DataPaths) -> Dataset:
    """Load a data set; option names are accepted with the prefix 'dataset.', as in a run, and without it."""
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    return plugin(dataset_options(name, plugins, options), paths)


def dataset_options(name: str, plugins: Plugins, options: Mapping[str, Any]) -> Any:
    """Validate the options of a data set. Raises ConfigError with every problem."""
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    unprefixed = {key.removeprefix("dataset."): value for key, value in options.items()}
    return validated_options("dataset", plugin, name, unprefixed)


def data_paths(folders: Folders, progress: ProgressCallback = no_progress) -> DataPaths:
    """Return the folders that data sets search, as in a run."""
    return DataPaths(folders.data, folders.cache, progress=progress)
