"""Further results of every test episode beside the record, in a compressed NumPy archive without pickles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.atomic_write import write_atomically
from mamlbench.errors import ConfigError
from mamlbench.record.array_file import UNREADABLE, pack_arrays, unpack_arrays
from mamlbench.record.file_hashes import results_written
from mamlbench.record.run_record import EpisodeFile, RunRecord
from mamlbench.run_spec.outside_text import escaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "episodes.npz"


def write_episodes(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> EpisodeFile:
    """Write arrays ``[episodes, ...]`` into a run's folder of artifacts; counts take as few bytes as they need.

    Raises UnwrittenResultError if they cannot be written.
    """
    content = pack_arrays(arrays)
    with results_written(folder / NAME, "What is kept of the test episodes", folder):
        write_atomically(folder / NAME, content)
    return EpisodeFile(file=f"{folder.name}/{NAME}", sha256=hashlib.sha256(content).hexdigest())


def read_episodes(record: RunRecord, folder: str | Path) -> dict[str, NDArray[Any]]:
    """Read what a run kept of its E test episodes.

    Args:
        record: a run that was tested.
        folder: the folder that the record lies in.

    Returns:
        Arrays by name. In classification: ``classes`` ``[E, ways]``, which class of the test split each label stands
        for (absent if the sampler does not say); ``queries`` ``[E, ways]``, the number of queries of each class; and
        for each mode, ``trained`` and ``untrained``: ``trained/inductive/right`` ``[E, ways]``, how many of them are
        classified right, and ``trained/inductive/predicted`` ``[E, ways]``, how many queries of any class are
        predicted as this one. With ``keep_predictions``: ``targets``, labels ``[E, n]`` or values ``[E, n, outputs]``,
        and the network's ``trained/inductive/outputs`` ``[E, n, outputs]``, float32.

        If sizes vary, ``ways`` and ``shots`` ``[E]`` are those of each episode, and labels from its ways on are 0.

    Raises ConfigError if the run kept nothing, or the file is missing or is not the one that the record names.
    """

    file = record.episodes
    if file is None:
        raise ConfigError(f"The run '{record.name}' kept nothing of its test episodes but their scores.")
    path = Path(folder) / file.file
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ConfigError(f"'{path}' is not the file that its record names: its SHA-256 differs.")
        return unpack_arrays(content)
    except UNREADABLE as error:
        reason = escaped(str(error) or type(error).__name__, 200)
        raise ConfigError(f"'{path}' cannot be read: {reason}.") from error
