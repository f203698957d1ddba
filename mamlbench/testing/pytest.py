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
class CommandResult:
    """The exit code, stdout and stderr of a command."""

    code: ExitCode
    out: str
    err: str

    def json(self) -> Any:
        """Parse the output of a command called with --json."""
        return json.loads(self.out)


class Project:
    """A temporary folder in which tests write files and run the command line, in the same process."""

    def __init__(self, path: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capture = capture

    def write(self, **files: str) -> Path:
        """Write ``.py`` files: ``project.write(mine="...")`` writes mine.py. Returns the last one's path."""
        path = self.path
        for name, text in files.items():
            path = self.path / f"{name}.py"
            path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: str, expect: ExitCode = ExitCode.OK) -> CommandResult:
        """Run ``mamlbench ARGUMENTS``; results go to the folder ``results``.

        Raises AssertionError, with the output, if the exit code is not ``expect``.
        """
        self._capture.readouterr()
        code = ExitCode(main(arguments))
        output = self._capture.readouterr()
        text = f"mamlbench {' '.join(arguments)}\n{output.out}\n{output.err}"
        assert code == expect, f"{text}\nexited with {code!r}, not {expect!r}"
        return CommandResult(code, output.out, output.err)

    def records(self) -> list[RunRecord]:
        """Read the records of all runs so far, oldest first."""
        paths = sorted((self.path / "results").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [read_record(path) for path in paths]


@pytest.fixture
def project(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Project:
    """Make an empty current folder with its own cache, in which the command line can run."""
    monkeypatch.chdir(tmp_path)
    kernels = kernels_folder()  # shared, so that kernels are compiled once and not for every test
    if kernels is not None:
        monkeypatch.setenv(KERNELS_VARIABLE, str(kernels))
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("MAMLBENCH_DATA", raising=False)
    return Project(tmp_path, capsys)
