"""Opens a data set by its name and a user's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamlbench.api import DataPaths, Dataset, Options, ProgressCallback, no_progress
from mamlbench.plugin import Plugins
from mamlbench.record import DataFacts
from mamlbench.run_spec import Folders
from mamlbench.runner.component_options import read_options


def open_dataset(name: str, options: Options, plugins: Plugins, paths: DataPaths) -> Dataset:
    """Load a data set. Raises DataError if it is missing or damaged."""
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    return plugin(options, paths)


def dataset_options(name: str, plugins: Plugins, options: Mapping[str, Any]) -> Options:
    """Validate the options of a data set; names are accepted with the prefix 'dataset.', as in a run, and without it.

    Raises ConfigError with every problem.
    """
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    unprefixed = {key.removeprefix("dataset."): value for key, value in options.items()}
    return read_options("dataset", plugin, name, unprefixed)


def data_paths(folders: Folders, progress: ProgressCallback = no_progress) -> DataPaths:
    """Return the folders that data sets search, as in a run."""
    return DataPaths(folders.data, folders.cache, progress=progress)


def data_facts(dataset: Dataset) -> DataFacts:
    """What identifies a data set in a record."""
    return DataFacts(
        content_hash=dataset.content_hash,
        split_hashes={name: split.hash for name, split in dataset.splits.items()},
        split_sizes={name: split.size for name, split in dataset.splits.items()},
        license=dataset.info.license,
        publishable=dataset.info.publishable,
        subset=dataset.subset,
        origin=dataset.origin,
        notes=list(dataset.notes),
    )
