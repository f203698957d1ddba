"""Downloads of data sets: folders, time-out and error messages."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

from mamlbench.api import DataPaths, ProgressCallback
from mamlbench.errors import MissingDataError

Files = TypeVar("Files")

TIMEOUT = 10.0
"""Seconds without an answer after which a download fails."""

FAILURES = (OSError, RuntimeError, HTTPException, BadZipFile)
"""Exceptions raised by a download: no network, no answer, a wrong checksum, a full disk."""


def downloads_folder(paths: DataPaths) -> Path:
    """Return the folder for downloaded archives."""
    return paths.cache / "downloads"


def searched_folders(paths: DataPaths) -> list[tuple[str, Path]]:
    """Return the folders to search, each as (reason, folder): the user's, then earlier downloads."""
    downloads = downloads_folder(paths)
    named = any(folder == downloads for _, folder in paths.folders)
    return [*paths.folders, *([] if named else [("earlier downloads", downloads)])]


def downloaded(
    paths: DataPaths,
    download: Callable[[Path, ProgressCallback], None],
    find: Callable[[DataPaths], Files | None],
    missing: Callable[[DataPaths, str], MissingDataError],
) -> Files:
    """Download a data set and find its files.

    Args:
        paths: where to search and to download to.
        download: downloads into a folder, and reports the bytes that have arrived.
        find: finds the files.
        missing: makes the exception that is raised if downloading is not allowed or fails.
    """
    if not paths.allow_download:
        raise missing(paths, "downloading is not allowed")
    try:
        download(downloads_folder(paths), paths.progress)
    except FAILURES as error:
        raise missing(paths, f"downloading it failed ({error})") from error
    files = find(paths)
    if files is None:
        raise missing(paths, "the download does not contain it")
    return files


@contextmanager
def socket_timeout() -> Iterator[None]:
    """Set a time-out for torchvision's requests, which have none of their own."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
