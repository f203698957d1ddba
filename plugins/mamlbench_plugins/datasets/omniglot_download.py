"""Omniglot from its official source, through torchvision."""

from __future__ import annotations

import logging
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from http.client import HTTPException
from pathlib import Path
from zipfile import BadZipFile

from mamlbench_plugins.datasets.omniglot_files import HALVES

PATIENCE = 10.0
"""Seconds without an answer after which a download has failed."""

FAILURES = (OSError, RuntimeError, HTTPException, BadZipFile)
"""What torchvision raises: no network, no answer, a wrong checksum, a full disk."""


def download(folder: Path) -> None:
    """Fetch both archives (14 MB) into ``folder/omniglot-py``; there is nothing there unless both came whole.

    Raises one of FAILURES.
    """
    from torchvision.datasets import Omniglot  # takes seconds to import

    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mamlbench").info("Downloading Omniglot (14 MB) from github.com/brendenlake/omniglot, once.")
    with tempfile.TemporaryDirectory(prefix=".omniglot-", dir=folder) as temporary:
        with impatient(), redirect_stdout(sys.stderr):  # some versions of torchvision print
            for background in (True, False):
                Omniglot(temporary, background=background, download=True)
        _keep(Path(temporary) / Omniglot.folder, folder / Omniglot.folder)


def _keep(fetched: Path, kept: Path) -> None:
    """Move the archives in one step, without the 32,460 files that torchvision extracts."""
    for half in HALVES:
        shutil.rmtree(fetched / half, ignore_errors=True)
    try:
        fetched.rename(kept)
    except OSError:
        if not all((kept / f"{half}.zip").is_file() for half in HALVES):
            raise
        # Another process was faster: what it downloaded passed the same checksum.


@contextmanager
def impatient() -> Iterator[None]:
    """Make torchvision's requests, which have no timeout of their own, end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
