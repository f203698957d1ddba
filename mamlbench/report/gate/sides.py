"""Reading BASE and HEAD: record files, folders, or the results folder of a git revision."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from mamlbench.errors import ConfigError
from mamlbench.report.loading import LoadedRecords, read_records

MAX_ARCHIVE_BYTES = 1024**3
"""Largest archive of a revision's results that is read."""


def read_side(name: str, results: Path = Path("results"), *, allow_missing: bool = False) -> LoadedRecords:
    """Read the records of one side.

    Args:
        name: a file, a folder, or a git revision of the current repository.
        results: the folder of records that is read from a revision.
        allow_missing: whether a revision without this folder has no records, instead of raising an error.

    Raises ConfigError if ``name`` is none of these, or the revision has no such folder.
    """
    if Path(name).exists():
        return read_records([name])
    top = git_output("rev-parse", "--show-toplevel")
    commit = None if name.startswith("-") else git_output("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if top is None or commit is None:
        where = "of this repository" if top else "(the current folder is not in a git repository)"
        raise ConfigError(f"'{name}' is neither a file, nor a folder, nor a git revision {where}.")
    root = Path(top.decode().strip())
    folder = results.absolute()
    no_records = LoadedRecords([], [], [])
    if not folder.is_relative_to(root):
        if allow_missing:
            return no_records
        raise ConfigError(
            f"The results folder '{folder}' is not in the repository '{root}'. Name record files or folders instead."
        )
    relative = folder.relative_to(root).as_posix()
    archive = git_output("-C", str(root), "archive", "--format=tar", commit.decode().strip(), "--", relative)
    if archive is None:
        if allow_missing:
            return no_records
        raise ConfigError(f"The revision '{name}' has no folder '{relative}'. Commit reference records there.")
    return _read_archive(archive, name)


def git_output(*arguments: str, stdin: bytes = b"") -> bytes | None:
    """Return the output of git; None if it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _read_archive(archive: bytes, revision: str) -> LoadedRecords:
    if len(archive) > MAX_ARCHIVE_BYTES:
        size = len(archive) / 1024**3
        raise ConfigError(
            f"The results of the revision '{revision}' have {size:.1f} GiB, more than the limit of 1 GiB."
        )
    with tempfile.TemporaryDirectory() as name, tarfile.open(fileobj=io.BytesIO(archive)) as members:
        folder = Path(name).resolve()
        for member in members:
            path = (folder / member.name).resolve()
            content = members.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
            if content is None or not path.is_relative_to(folder):
                continue  # links, artifacts, and paths that point outside the folder
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
        loaded = read_records([folder])
        return loaded._replace(problems=[text.replace(f"{folder}/", f"{revision}:") for text in loaded.problems])
