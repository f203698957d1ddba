"""``benchmarks/store_writers.py``: a short run, and that it finds what it looks for."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import store_writers

from mamlbench.atomic_write import temporary_path
from mamlbench.record import ResultStore


@pytest.mark.slow
def test_no_record_is_lost_torn_or_overwritten(tmp_path):
    lines = store_writers.stress(tmp_path, writers=24, kills=12, seed=1)
    assert lines[0].startswith("different specs: 24 writers, 0 killed: 24 records, all whole")
    assert lines[1].startswith("one spec: 24 writers, 0 killed: 24 records, all whole")
    killed = int(lines[2].split()[3])
    assert killed > 6 and len(ResultStore(tmp_path / "killed").paths()) >= 24 - killed + 1, lines[2]


@pytest.fixture
def written(tmp_path):
    """Two runs that a round wrote."""
    folder = tmp_path / "round"
    return folder, {number: store_writers.write_run(folder, store_writers.spec_of(number), number) for number in (0, 1)}


def test_two_sound_runs_pass(written):
    folder, names = written
    assert store_writers.check(folder, names) == 2 and store_writers.left_over(folder) == []


def lose(folder, name):
    (folder / f"{name}.json").unlink()


def change_model(folder, name):
    (folder / name / "model.safetensors").write_bytes(b"another")


def change_record(folder, name):
    path = folder / f"{name}.json"
    path.write_text(path.read_text().replace('"started": "2', '"started": "1'))


def double(folder, name):
    shutil.copy(folder / f"{name}.json", folder / "again.json")


@pytest.mark.parametrize("damage", [lose, change_model, change_record, double])
def test_what_went_wrong_is_found(written, damage):
    folder, names = written
    damage(folder, names[1])
    with pytest.raises(SystemExit, match=r"\w+"):
        store_writers.check(folder, names)


def test_a_record_of_another_writer_is_found(written):
    folder, names = written
    with pytest.raises(SystemExit, match="not that of its writer"):
        store_writers.check(folder, {0: names[1], 1: names[0]})


def test_what_is_left_over_is_found(written):
    folder, names = written
    left = temporary_path(folder / names[0] / "model.safetensors")
    left.touch()
    assert store_writers.left_over(folder) == [left.name]
