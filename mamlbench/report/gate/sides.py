"""BASE and HEAD as a user names them: record files, folders, or a git revision, which means its ``results/``."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from mamlbench.errors import ConfigError
from mamlbench.report.loading import Reading, read_records

LARGEST_ARCHIVE = 1024**3
"""Bytes of a revision's results that are taken in."""


def read_side(name: str, results: Path = Path("results"), *, may_lack: bool = False) -> Reading:
    """Read the records of one side.

    Args:
        name: a file, a folder, or a git revision of the repository that one stands in.
        results: the folder of records, of which a revision's state is meant.
        may_lack: whether a revision without such a folder is one without records.

    Raises ConfigError where it is neither, or the revision has no such folder.
    """
    if Path(name).exists():
        return read_records([name])
    top = _git("rev-parse", "--show-toplevel")
    commit = None if name.startswith("-") else _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if top is None or commit is None:
        where = "of this repository" if top else "(and this is no repository)"
        raise ConfigError(f"'{name}' is neither a file, nor a folder, nor a git revision {where}.")
    root = Path(top.decode().strip())
    folder = results.absolute()
    nothing = Reading([], [], [])
    if not folder.is_relative_to(root):
        if may_lack:
            return nothing
        raise ConfigError(f"The results folder '{folder}' is not in the repository '{root}': name records instead.")
    inside = folder.relative_to(root).as_posix()
    archive = _git("-C", str(root), "archive", "--format=tar", commit.decode().strip(), "--", inside)
    if archive is None:
        if may_lack:
            return nothing
        raise ConfigError(f"The revision '{name}' has no folder '{inside}': commit reference records there.")
    return _read_archive(archive, name)


def _git(*arguments: str) -> bytes | None:
    """Output of git; None where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _read_archive(archive: bytes, revision: str) -> Reading:
    if len(archive) > LARGEST_ARCHIVE:
        raise ConfigError(f"The results of the revision '{revision}' have {len(archive) / 1024**3:.1f} GiB: too many.")
    with tempfile.TemporaryDirectory() as name, tarfile.open(fileobj=io.BytesIO(archive)) as members:
        folder = Path(name).resolve()
        for member in members:
            path = (folder / member.name).resolve()
            content = members.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
            if content is None or not path.is_relative_to(folder):
                continue  # links and artifacts are no records
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
        reading = read_records([folder])
        return reading._replace(problems=[text.replace(f"{folder}/", f"{revision}:") for text in reading.problems])
