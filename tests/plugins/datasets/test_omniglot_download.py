"""Omniglot's download, with the network's replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_omniglot import load, write_archives

from mamlbench.errors import DataError
from mamlbench_plugins.datasets import omniglot_download
from mamlbench_plugins.datasets.omniglot_files import HALVES


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def fake_network(monkeypatch: pytest.MonkeyPatch, fetch: Callable[[Path, str], None]) -> list[tuple[str, str]]:
    """Put ``fetch(folder, half)`` in place of the download of a file; returns the requested addresses and checksums."""
    requested: list[tuple[str, str]] = []

    def download_file(url: str, path: Path, checksum: str, progress: Any) -> None:
        if path.exists():  # pooch requests nothing then
            return
        requested.append((url, checksum))
        fetch(path.parent, path.stem)

    monkeypatch.setattr(omniglot_download, "download_file", download_file)
    return requested


def test_downloaded_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requested = fake_network(monkeypatch, lambda folder, half: write_archives(folder, halves=[half]))
    with caplog.at_level("INFO", "mamlbench"):
        dataset = load(tmp_path, cache, allow_download=True)
    assert sum("14 MB" in record.message for record in caplog.records) == 1
    assert dataset.origin == "zip archives"
    for (url, checksum), half in zip(requested, HALVES, strict=True):
        assert url.startswith("https://") and url.endswith(f"/{half}.zip") and checksum.startswith("md5:")
    files = sorted(path.relative_to(cache / "downloads").as_posix() for path in (cache / "downloads").rglob("*"))
    assert files == ["omniglot-py", *(f"omniglot-py/{half}.zip" for half in HALVES)]
    assert load(tmp_path, cache).content_hash == dataset.content_hash
    assert len(requested) == 2, "not requested again"


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("File not found or corrupted.")])
def test_a_download_that_fails_says_so_and_the_next_one_fetches_the_rest(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failures = [error]

    def fetch(folder: Path, half: str) -> None:
        if half == HALVES[1] and failures:
            raise failures.pop()
        write_archives(folder, halves=[half])

    requested = fake_network(monkeypatch, fetch)
    with pytest.raises(DataError, match=rf"downloading it failed \({error}\): name the folder.*--dataset glyphs"):
        load(None, cache, allow_download=True)
    assert load(None, cache, allow_download=True).origin == "zip archives"
    assert [url.rpartition("/")[2] for url, _ in requested] == [f"{half}.zip" for half in (*HALVES, HALVES[1])]


def test_two_processes_may_download_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: Path, half: str) -> None:
        write_archives(folder, halves=[half])
        write_archives(cache / "downloads" / "omniglot-py")  # the other one was faster

    fake_network(monkeypatch, fetch)
    omniglot_download.download(cache / "downloads")
    assert [path.name for path in (cache / "downloads").iterdir()] == ["omniglot-py"]
