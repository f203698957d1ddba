"""Download of Omniglot from its official source, through torchvision."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from mamlbench_plugins.datasets.downloads import socket_timeout
from mamlbench_plugins.datasets.omniglot_files import HALVES


def download(folder: Path) -> None:
    """Download both archives (14 MB) into ``folder/omniglot-py``; nothing is left there unless both are complete.

    Raises one of ``downloads.FAILURES``.
    """
    from torchvision.datasets import Omniglot  # takes seconds to import

    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mamlbench").info("Downloading Omniglot (14 MB) from github.com/brendenlake/omniglot, once.")
    with tempfile.TemporaryDirectory(prefix=".omniglot-", dir=folder) as temporary:
        with socket_timeout(), redirect_stdout(sys.stderr):  # some versions of torchvision print
            for background in (True, False):
                Omniglot(temporary, background=background, download=True)
        _move_archives(Path(temporary) / Omniglot.folder, folder / Omniglot.folder)


def _move_archives(downloaded: Path, target: Path) -> None:
    """Move the archives by one rename, without the 32,460 files that torchvision extracts."""
    for half in HALVES:
        shutil.rmtree(downloaded / half, ignore_errors=True)
    try:
        downloaded.rename(target)
    except OSError:
        if not all((target / f"{half}.zip").is_file() for half in HALVES):
            raise
        # another process was faster; its download passed the same checksum
