"""Download of Omniglot from its official source."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from mamlbench.api import ProgressCallback, no_progress
from mamlbench_plugins.datasets.omniglot_files import HALVES
from mamlbench_plugins.datasets.resumed_download import download_file

LOG = logging.getLogger("mamlbench.datasets")


INCOMPLETE = ".omniglot-incomplete"
"""Folder of archives until both have arrived: a folder with one of them is not Omniglot."""


def download(folder: Path, progress: ProgressCallback = no_progress) -> None:
    """Download both archives (14 MB) into ``folder/omniglot-py``, or what is still missing of them.

    Raises one of ``downloads.FAILURES``.
    """
    from torchvision.datasets import Omniglot  # knows the address and checksums; takes seconds to import

    LOG.info("Downloading Omniglot (14 MB) from %s.", Omniglot.download_url_prefix)
    for half in HALVES:
        url = f"{Omniglot.download_url_prefix}/{half}.zip"
        download_file(url, folder / INCOMPLETE / f"{half}.zip", f"md5:{Omniglot.zips_md5[half]}", progress)
    _move_archives(folder / INCOMPLETE, folder / Omniglot.folder)


def _move_archives(complete: Path, target: Path) -> None:
    """Move both archives by one rename."""
    try:
        complete.rename(target)
    except OSError:
        if not all((target / f"{half}.zip").is_file() for half in HALVES):
            raise
        # another process was faster; its download passed the same checksum
        shutil.rmtree(complete, ignore_errors=True)
