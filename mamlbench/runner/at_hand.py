"""What is at hand of a data set: as much as is known of it without decoding or downloading anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mamlbench.api import ClassPool, Finding, SourceInfo, TaskPool, TaskSource
from mamlbench.errors import ConfigError, MamlbenchError
from mamlbench.plugin import Plugins
from mamlbench.runner.data import open_source, places_of, source_options
from mamlbench.spec import Folders

State = Literal["ready", "not prepared", "not looked for", "not found", "broken"]

NAME_IT = "name the folder that holds it with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml"


@dataclass(frozen=True)
class SplitAtHand:
    """One split. ``classes`` are named where its tasks are made of classes; ``images`` counts their pictures."""

    hash: str
    images: int = 0
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AtHand:
    """A data set as it lies there.

    ``said``: what is wrong, or what to do to have more of it. ``looked``: the folders that were searched. ``shape``:
    of one example, ``[C, H, W]`` for pictures. Hashes, splits and shape are known once the set is prepared.
    """

    state: State
    said: str = ""
    looked: tuple[str, ...] = ()
    finding: Finding | None = None
    content_hash: str = ""
    shape: tuple[int, ...] = ()
    splits: Mapping[str, SplitAtHand] = field(default_factory=dict)


def at_hand(name: str, options: Mapping[str, Any], plugins: Plugins, folders: Folders) -> AtHand:
    """Look for a data set, and open it where it is prepared. What is wrong with it is told, not raised.

    Raises ConfigError for an unknown name or option.
    """
    plugin: type[TaskSource] = plugins.registry.load("dataset", name)
    checked = source_options(name, plugins, options)
    looked = tuple(f"'{path}' ({reason})" for reason, path in folders.data)
    try:
        finding = plugin.look(checked, places_of(folders))
        if finding is None:
            return AtHand("not found", _how_to_get(plugin.info), looked)
        if not finding.prepared:
            return AtHand(*_unprepared(name, finding), looked, finding)
        return _opened(open_source(name, options, plugins, places_of(folders)), finding, looked)
    except ConfigError:
        raise
    except MamlbenchError as error:
        return AtHand("broken", str(error), looked)
    except Exception as error:  # a stranger's plugin may raise anything
        return AtHand("broken", f"{type(error).__name__}: {error}", looked)


def _how_to_get(info: SourceInfo) -> str:
    return info.obtain or f"{NAME_IT}{f'; see {info.homepage}' if info.homepage else ''}"


def _unprepared(name: str, finding: Finding) -> tuple[State, str]:
    state: State = "not looked for" if finding.form == "not looked for" else "not prepared"
    return state, f"'mamlbench data prepare {name}', or the first run, makes hashes and counts known"


def _opened(source: TaskSource, finding: Finding, looked: tuple[str, ...]) -> AtHand:
    return AtHand(
        "ready",
        "",
        looked,
        finding,
        source.content_hash,
        tuple(source.splits["test"].input_shape),
        {split: _split(pool) for split, pool in source.splits.items()},
    )


def _split(pool: TaskPool) -> SplitAtHand:
    if isinstance(pool, ClassPool):
        return SplitAtHand(pool.hash, len(pool.rows), pool.class_names)
    return SplitAtHand(pool.hash)
