"""Omniglot from its official source, through torchvision."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from mamlbench_plugins.datasets.downloads import impatient
from mamlbench_plugins.datasets.omniglot_files import HALVES


def download(folder: Path) -> None:
    """Fetch both archives (14 MB) into ``folder/omniglot-py``; there is nothing there unless both came whole.

    Raises one of ``downloads.FAILURES``.
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
