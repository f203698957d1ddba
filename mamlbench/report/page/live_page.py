"""The page of a results folder that changes: rendered again if a record or a run in progress has."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mamlbench.record import ResultStore, RunRecord
from mamlbench.record.claims import ClaimWatcher
from mamlbench.record.runs_in_progress import RunInProgress, runs_in_progress
from mamlbench.report.loading import LoadedRecords, read_records

LOOK_SECONDS = 1.0
"""Least time between two looks at the files, however many browsers ask."""

_Stamp = tuple[int, int]
"""time of change in nanoseconds, and size"""


class LivePage:
    """The page of files and folders, as they are now. Several threads may ask for it.

    Args:
        paths: record files, or folders of them; a folder need not exist yet.
        render: makes the page of the records, of the runs in progress and of a version.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        render: Callable[[LoadedRecords, Sequence[RunInProgress], str], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths, self._render, self._clock = list(paths), render, clock
        self._watcher = ClaimWatcher()
        self._lock = threading.Lock()
        self._records: dict[Path, tuple[_Stamp, LoadedRecords]] = {}
        self._running: list[RunInProgress] = []
        self._looked: float | None = None
        self._version = ""
        self._page = "", b""

    def version(self) -> str:
        """Return what changes if the page does."""
        with self._lock:
            return self._look()

    def content(self) -> bytes:
        """Return the page. Raises what ``render`` raises."""
        with self._lock:
            version = self._look()
            if self._page[0] != version:
                page = self._render(self._loaded(), self._running, version)
                self._page = version, page.encode()
            return self._page[1]

    def _look(self) -> str:
        now = self._clock()
        if self._looked is not None and now - self._looked < LOOK_SECONDS:
            return self._version
        self._looked = now
        stamps = {path: stamp for path in self._files() if (stamp := _stamp(path)) is not None}
        self._records = {
            path: known if (known := self._records.get(path)) and known[0] == stamp else (stamp, read_records([path]))
            for path, stamp in stamps.items()
        }
        self._running = [run for path in self._paths for run in runs_in_progress(path, self._watcher)]
        state = repr((sorted(stamps.items()), self._running))
        self._version = hashlib.sha256(state.encode()).hexdigest()[:16]
        return self._version

    def _files(self) -> list[Path]:
        files = [file for path in self._paths for file in (ResultStore(path).paths() if path.is_dir() else [path])]
        return list(dict.fromkeys(files))

    def _loaded(self) -> LoadedRecords:
        records: list[RunRecord] = []
        problems: list[str] = []
        files: list[Path] = []
        for _, loaded in self._records.values():
            records += loaded.records
            problems += loaded.problems
            files += loaded.files
        return LoadedRecords(records, problems, files)


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (a folder may hold ten thousand)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
