"""The temporary cache of a verification: what killed ones left is removed, a running one's is not."""

import os
import subprocess
import sys

import pytest

from mamlbench.errors import CacheError
from mamlbench.process_identity import owner_name
from mamlbench.runner.datasets.verify import PREFIX, _temporary_cache


def test_what_a_killed_verification_left_is_removed_by_the_next(tmp_path):
    code = "from mamlbench.process_identity import owner_name; print(owner_name())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    left, running = (tmp_path / f"{PREFIX}{owner}.xyz" for owner in (ended, owner_name()))
    for folder in (left, running):
        folder.mkdir()
        (folder / "toy.safetensors").touch()
        os.utime(folder, (1, 1))
    with _temporary_cache(tmp_path) as cache:
        assert set(tmp_path.iterdir()) == {running, cache}
    assert list(tmp_path.iterdir()) == [running]


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"file' cannot be written \(.*set MAMLBENCH_CACHE"):  # noqa: SIM117
        with _temporary_cache(tmp_path / "file"):
            pass
