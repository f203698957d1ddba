"""Fixtures for a plugin's own tests: ``pytest_plugins = ["mamlbench.testing.pytest"]`` in its conftest.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.record import RunRecord, read_record
from mamlbench.user_config import KERNELS_VARIABLE, kernels_folder


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, what it printed, and what it printed on stderr."""

    code: ExitCode
    out: str
    err: str

    def json(self) -> Any:
        """What a command called with --json printed."""
        return json.loads(self.out)


class Project:
    """A folder of its own, in which files are written and the command line is run, in this very process."""

    def __init__(self, path: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capture = capture

    def write(self, **files: str) -> Path:
        """Write texts into files whose suffix is .py: ``project.write(mine="...")``; return the last one's path."""
        path = self.path
        for name, text in files.items():
            path = self.path / f"{name}.py"
            path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: str, expect: ExitCode = ExitCode.OK) -> Done:
        """Run ``mamlbench ARGUMENTS``. Raises AssertionError, with what it said, where it ends otherwise than expected.

        Results go to ``results`` in the folder.
        """
        self._capture.readouterr()
        code = ExitCode(main(arguments))
        shown = self._capture.readouterr()
        told = f"mamlbench {' '.join(arguments)}\n{shown.out}\n{shown.err}"
        assert code == expect, f"{told}\nended with {code!r}, not {expect!r}"
        return Done(code, shown.out, shown.err)

    def records(self) -> list[RunRecord]:
        """The records of all runs so far, oldest first."""
        paths = sorted((self.path / "results").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [read_record(path) for path in paths]


@pytest.fixture
def project(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Project:
    """An empty folder as the current one, with a cache of its own, and the command line ready to run in it."""
    monkeypatch.chdir(tmp_path)
    kernels = kernels_folder()  # compiled once, not for every test
    if kernels is not None:
        monkeypatch.setenv(KERNELS_VARIABLE, str(kernels))
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("MAMLBENCH_DATA", raising=False)
    return Project(tmp_path, capsys)
