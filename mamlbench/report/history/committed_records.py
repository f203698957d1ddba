"""Reads the records of a folder at every commit that changed them. Each version of a file is read once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mamlbench.errors import ConfigError, NothingToDoError, one_line
from mamlbench.record import RunRecord, UnreadableRecordError, read_record
from mamlbench.record.result_store import looks_like_record
from mamlbench.report.gate.sides import git_output
from mamlbench.report.loading import MAX_BYTES

REGULAR_FILES = ("100644", "100755")
"""Modes of git's files that are neither links nor submodules."""


@dataclass(frozen=True)
class Commit:
    """A commit that changed records."""

    hash: str
    date: str
    """Day of the commit, ``2026-01-31``."""
    subject: str

    @property
    def short(self) -> str:
        """The first eight digits of its hash."""
        return self.hash[:8]


@dataclass
class CommittedRecords:
    """The records of a folder over the commits of a revision, oldest first.

    Args:
        root: the top of the work tree.
        folder: the folder of records, from the top.
        commits: those that changed it, oldest first.
    """

    root: Path
    folder: str
    commits: list[Commit]
    problems: list[str] = field(default_factory=list)
    """One sentence for each version of a file that was skipped."""
    _records: dict[str, RunRecord | None] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: Path, revision: str = "HEAD", limit: int | None = None) -> CommittedRecords:
        """Find the commits that changed a folder, up to ``revision``; the last ``limit`` of them.

        Raises ConfigError if it is in no git repository or there is no such revision, NothingToDoError without commits.
        """
        absolute = folder.resolve()
        existing = next(path for path in (absolute, *absolute.parents) if path.is_dir())  # it may be of older commits
        top = git_output("-C", str(existing), "rev-parse", "--show-toplevel")
        if top is None:
            raise ConfigError(f"'{folder}' is not in a git repository, and a history is one of commits.")
        root = Path(top.decode().strip()).resolve()
        relative = absolute.relative_to(root).as_posix()
        commit = None if revision.startswith("-") else _commit(root, revision)
        if commit is None:
            raise ConfigError(f"'{revision}' is not a git revision of this repository.")
        numbers = [] if limit is None else [f"--max-count={limit}"]
        log = ["log", "--format=%H%x1f%cs%x1f%s", *numbers, commit, "--", relative]
        lines = (git_output("-C", str(root), *log) or b"").decode(errors="replace").splitlines()
        commits = [Commit(*(one_line(part, 200) for part in line.split("\x1f", 2))) for line in reversed(lines)]
        if not commits:
            raise NothingToDoError(f"No commit up to '{revision}' has records in '{relative}'.")
        return cls(root, relative, commits)

    def read(self, on_commit: Callable[[str], None] = lambda _: None) -> Iterator[tuple[Commit, list[RunRecord]]]:
        """Yield each commit with all records that the folder had after it; equal files are the same objects.

        Args:
            on_commit: called with the short hash of each commit that has been read.
        """
        for commit in self.commits:
            files = self._files(commit)
            self._read({blob: path for path, blob in files.items() if blob not in self._records}, commit)
            records = [self._records[blob] for _, blob in sorted(files.items())]
            yield commit, [record for record in records if record is not None]
            on_commit(commit.short)

    def _files(self, commit: Commit) -> dict[str, str]:
        """The record files of a commit by path, with the hash of their content."""
        listed = git_output("-C", str(self.root), "ls-tree", "-r", "-l", "-z", commit.hash, "--", self.folder) or b""
        files = {}
        for entry in filter(None, listed.decode(errors="replace").split("\0")):
            facts, _, path = entry.partition("\t")
            mode, _, blob, size = facts.split()
            if mode in REGULAR_FILES and looks_like_record(PurePosixPath(path).name) and int(size) <= MAX_BYTES:
                files[path] = blob
        folders_of_runs = {path.removesuffix(".json") for path in files}
        return {path: blob for path, blob in files.items() if str(PurePosixPath(path).parent) not in folders_of_runs}

    def _read(self, paths: Mapping[str, str], commit: Commit) -> None:
        """Read files by hash; what is not a record becomes a problem."""
        contents = _contents(self.root, list(paths))
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "record.json"
            for blob, path in paths.items():
                self._records[blob] = None
                file.write_bytes(contents.get(blob, b""))
                try:
                    record = read_record(file)
                except UnreadableRecordError as error:
                    self.problems.append(str(error).replace(str(file), f"{commit.short}:{path}"))
                else:
                    stem = PurePosixPath(path).stem
                    self._records[blob] = record if record.name else record.model_copy(update={"name": stem})


def _commit(root: Path, revision: str) -> str | None:
    output = git_output("-C", str(root), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return None if output is None else output.decode().strip()


def _contents(root: Path, blobs: Sequence[str]) -> dict[str, bytes]:
    """The contents of files by hash, from one process of git."""
    if not blobs:
        return {}
    output = git_output("-C", str(root), "cat-file", "--batch", stdin="\n".join(blobs).encode() + b"\n") or b""
    contents, position = {}, 0
    while position < len(output):
        end = output.index(b"\n", position)
        blob, _, size = output[position:end].decode().partition(" blob ")
        contents[blob] = output[end + 1 : end + 1 + int(size)]
        position = end + 2 + int(size)  # a line break follows each content
    return contents
