"""Omniglot's download, with torchvision's replaced."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_omniglot import TOY, load, write_archives, write_folders

from mamlbench.errors import DataError
from mamlbench_plugins.datasets import omniglot_download
from mamlbench_plugins.datasets.omniglot_files import HALVES


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def fake_torchvision(monkeypatch: pytest.MonkeyPatch, fetch: Callable[[Path, str], None]) -> list[str]:
    """Put ``fetch(folder, half)`` in place of torchvision's download; returns the requested halves."""
    requested: list[str] = []

    class Fake:
        folder = "omniglot-py"

        def __init__(self, root: str, background: bool, download: bool) -> None:
            assert download
            requested.append(HALVES[0 if background else 1])
            fetch(Path(root) / self.folder, requested[-1])

    module = type(sys)("torchvision.datasets")
    vars(module)["Omniglot"] = Fake
    monkeypatch.setitem(sys.modules, "torchvision", type(sys)("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    return requested


def test_downloaded_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(folder: Path, half: str) -> None:
        write_archives(folder, halves=[half])
        write_folders(folder, [name for name in TOY if name.startswith(half)])  # torchvision extracts
        print("Downloading", half)

    requested = fake_torchvision(monkeypatch, fetch)
    with caplog.at_level("INFO", "mamlbench"):
        dataset = load(tmp_path, cache, allow_download=True)
    assert [record.message for record in caplog.records if "14 MB" in record.message] == [caplog.records[0].message]
    assert dataset.origin == "zip archives" and requested == list(HALVES)
    files = sorted(path.relative_to(cache / "downloads").as_posix() for path in (cache / "downloads").rglob("*"))
    assert files == ["omniglot-py", *(f"omniglot-py/{half}.zip" for half in HALVES)]
    assert load(tmp_path, cache).content_hash == dataset.content_hash
    assert requested == list(HALVES), "not requested again"


def test_standard_output_stays_clean_while_downloading(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(folder: Path, half: str) -> None:
        print("Downloading", half)
        write_archives(folder, halves=[half])

    fake_torchvision(monkeypatch, fetch)
    load(None, cache, allow_download=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("File not found or corrupted.")])
def test_a_failed_download_leaves_nothing_and_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fetch(folder: Path, half: str) -> None:
        write_archives(folder, halves=[half])
        if half == HALVES[1]:
            raise error

    fake_torchvision(monkeypatch, fetch)
    with pytest.raises(DataError, match=rf"downloading it failed \({error}\): name the folder.*--dataset glyphs"):
        load(None, cache, allow_download=True)
    assert not list((cache / "downloads").iterdir())


def test_two_processes_may_download_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: Path, half: str) -> None:
        write_archives(folder, halves=[half])
        write_archives(cache / "downloads" / "omniglot-py")  # the other one was faster

    fake_torchvision(monkeypatch, fetch)
    omniglot_download.download(cache / "downloads")
    assert [path.name for path in (cache / "downloads").iterdir()] == ["omniglot-py"]
