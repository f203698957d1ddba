"""The folder of Slurm's jobs: private, and beside the results."""

import stat

import pytest

from mamlbench.errors import ConfigError
from mamlbench_plugins.launchers import slurm


def test_a_new_folder_can_be_written_by_this_user_alone(tmp_path):
    slurm.make_private(tmp_path / "a" / "jobs")
    assert stat.S_IMODE((tmp_path / "a" / "jobs").stat().st_mode) == 0o700
    slurm.make_private(tmp_path / "a" / "jobs")


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod go-w"):
        slurm.make_private(tmp_path)


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(slurm.os, "getuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match="Others can write"):
        slurm.make_private(tmp_path)
