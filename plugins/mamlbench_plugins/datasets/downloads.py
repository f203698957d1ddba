"""What downloads through torchvision have in common."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

from mamlbench.api import DataPaths
from mamlbench.errors import MissingDataError

Found = TypeVar("Found")

PATIENCE = 10.0
"""Seconds without an answer after which a download has failed."""

FAILURES = (OSError, RuntimeError, HTTPException, BadZipFile)
"""What torchvision raises: no network, no answer, a wrong checksum, a full disk."""


def downloads_folder(paths: DataPaths) -> Path:
    """Where downloaded archives are kept."""
    return paths.cache / "downloads"


def searched_folders(paths: DataPaths) -> list[tuple[str, Path]]:
    """The folders to search with the reason for each: the user's, then earlier downloads."""
    return [*paths.folders, ("earlier downloads", downloads_folder(paths))]


def downloaded(
    paths: DataPaths,
    download: Callable[[Path], None],
    find: Callable[[DataPaths], Found | None],
    missing: Callable[[DataPaths, str], MissingDataError],
) -> Found:
    """Fetch a set where that is allowed, and find it; raise what ``missing`` makes where it is not allowed or fails."""
    if not paths.allow_download:
        raise missing(paths, "downloading is switched off")
    try:
        download(downloads_folder(paths))
    except FAILURES as error:
        raise missing(paths, f"downloading it failed ({error})") from error
    found = find(paths)
    if found is None:
        raise missing(paths, "what was downloaded does not hold it")
    return found


@contextmanager
def impatient() -> Iterator[None]:
    """Make torchvision's requests, which have no timeout of their own, end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
