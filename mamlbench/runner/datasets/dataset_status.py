"""What is at hand of a data set: as much as is known of it without decoding or downloading anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mamlbench.api import Dataset, DatasetInfo, ImageSplit, LocalCopy, TaskSplit
from mamlbench.errors import ConfigError, MamlbenchError
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.datasets.open_dataset import data_paths, dataset_options, open_dataset

State = Literal["ready", "not prepared", "not looked for", "not found", "broken"]

NAME_IT = "name the folder that holds it with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml"


@dataclass(frozen=True)
class SplitStatus:
    """One split. ``classes`` are named where its tasks are made of classes; ``images`` counts their images."""

    hash: str
    images: int = 0
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetStatus:
    """A data set as it lies there.

    ``said``: what is wrong, or what to do to have more of it. ``looked``: the folders that were searched. ``shape``:
    of one example, ``[C, H, W]`` for images. Hashes, splits and shape are known once the set is prepared.
    """

    state: State
    said: str = ""
    looked: tuple[str, ...] = ()
    finding: LocalCopy | None = None
    content_hash: str = ""
    shape: tuple[int, ...] = ()
    splits: Mapping[str, SplitStatus] = field(default_factory=dict)


def dataset_status(name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders) -> DatasetStatus:
    """Look for a data set, and open it where it is prepared. What is wrong with it is told, not raised.

    Raises ConfigError for an unknown name or option.
    """
    plugin: type[Dataset] = plugins.registry.load("dataset", name)
    checked = dataset_options(name, plugins, options)
    looked = tuple(f"'{path}' ({reason})" for reason, path in folders.data)
    try:
        finding = plugin.find_local_copy(checked, data_paths(folders))
        if finding is None:
            return DatasetStatus("not found", _how_to_get(plugin.info), looked)
        if not finding.prepared:
            return DatasetStatus(*_unprepared(name, finding), looked, finding)
        return _opened(open_dataset(name, options, plugins, data_paths(folders)), finding, looked)
    except ConfigError:
        raise
    except MamlbenchError as error:
        return DatasetStatus("broken", str(error), looked)
    except Exception as error:  # a stranger's plugin may raise anything
        return DatasetStatus("broken", f"{type(error).__name__}: {error}", looked)


def _how_to_get(info: DatasetInfo) -> str:
    return info.obtain or f"{NAME_IT}{f'; see {info.homepage}' if info.homepage else ''}"


def _unprepared(name: str, finding: LocalCopy) -> tuple[State, str]:
    state: State = "not looked for" if finding.form == "not looked for" else "not prepared"
    return state, f"'mamlbench data prepare {name}', or the first run, makes hashes and counts known"


def _opened(dataset: Dataset, finding: LocalCopy, looked: tuple[str, ...]) -> DatasetStatus:
    return DatasetStatus(
        "ready",
        "",
        looked,
        finding,
        dataset.content_hash,
        tuple(dataset.splits["test"].input_shape),
        {split: _split(pool) for split, pool in dataset.splits.items()},
    )


def _split(pool: TaskSplit) -> SplitStatus:
    if isinstance(pool, ImageSplit):
        return SplitStatus(pool.hash, len(pool.rows), pool.class_names)
    return SplitStatus(pool.hash)
