"""Downloads of single files: pooch compares their checksum, and what has arrived is not requested again.

pooch itself begins again after every failure. Here it gets a downloader that keeps what has arrived beside the file,
asks the server for the rest, and goes on after a connection that broke, also in a later process.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mamlbench.api import ProgressCallback
from mamlbench.interrupts import check_interrupt
from mamlbench.process_identity import owner_has_ended, owner_name

LOG = logging.getLogger("mamlbench.datasets")

TIMEOUT = 10.0
"""Seconds without an answer after which a connection is given up."""
ATTEMPTS = 4
"""Connections that may break before a download has failed."""
WAIT_SECONDS = 1.0
"""Pause before the second connection; it doubles with each."""
BLOCK = 1 << 13
"""Bytes that are read at a time; as many may be lost of a connection that breaks."""
REPORT_SECONDS = 0.2
"""Shortest time between two reports of progress."""


def download_file(url: str, path: Path, checksum: str, progress: ProgressCallback) -> None:
    """Download a file; nothing has its name unless it is complete and has the checksum.

    Args:
        url: of http or https.
        path: where the file goes.
        checksum: as pooch has it, ``md5:...`` or ``sha256:...``.
        progress: called with the name, the bytes that have arrived and their total.

    Raises OSError if the server cannot be reached, refuses, or sends something else.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # it would print on its own
    path.parent.mkdir(parents=True, exist_ok=True)
    downloader = _Downloader(path, progress)
    try:
        pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=downloader)
    except ValueError as error:  # the checksum differs
        raise OSError(f"{path.name} from {url} is not the published file: its checksum differs") from error


class _Downloader:
    """Downloads into a file beside ``path``, from where an earlier download stopped; called by pooch."""

    def __init__(self, path: Path, progress: ProgressCallback) -> None:
        self.path, self.progress = path, progress
        self._reported = float("-inf")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        with _part(self.path) as part:
            for attempt in range(ATTEMPTS):
                try:
                    self._fetch_rest(url, part)
                    break
                except OSError as error:
                    if attempt == ATTEMPTS - 1 or not _may_pass(error):
                        raise
                    LOG.info("%s: the connection broke (%s); going on.", self.path.name, error)
                    time.sleep(WAIT_SECONDS * 2**attempt)
            shutil.move(part, output_file)  # pooch compares the checksum there

    def _fetch_rest(self, url: str, part: Path) -> None:
        import requests

        done = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                return  # all of it has arrived; the checksum decides
            response.raise_for_status()
            if not _continues(response, done):
                done = 0
            total = done + int(response.headers.get("Content-Length", 0))
            with part.open("ab" if done else "wb") as file:
                for block in response.iter_content(BLOCK):
                    check_interrupt()
                    file.write(block)
                    done += len(block)
                    self._report(done, max(done, total))
            if done < total:
                raise OSError(f"{done:,} of {total:,} bytes have arrived")

    def _report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self.progress(self.path.name, done, total)


def _continues(response: Any, done: int) -> bool:
    """Whether the server sends the rest, as it was asked to; some send all of it."""
    import requests

    begin = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status_code == requests.codes.partial_content and begin is not None and int(begin[1]) == done


def _may_pass(error: OSError) -> bool:
    """Whether it may help to connect again: a server that answers that there is no such file will do so again."""
    response = getattr(error, "response", None)
    return response is None or response.status_code >= 500


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A file for what arrives, of this process alone: it has what one before it has left, and is left if that fails."""
    left = path.with_name(f".{path.name}.part")
    own = path.with_name(f".{path.name}.{owner_name()}.part")
    for earlier in (left, *path.parent.glob(f".{path.name}.*.part")):
        owner = earlier.name.removeprefix(f".{path.name}.").removesuffix(".part")
        if earlier == left or owner_has_ended(owner):
            with suppress(FileNotFoundError):  # another process has taken it
                earlier.rename(own)
                break
    try:
        yield own
    finally:
        with suppress(FileNotFoundError):
            own.replace(left)
