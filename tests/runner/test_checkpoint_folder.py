"""Two checkpoints by turns: any damage to one leaves the other, and the last good one is never touched."""

import random
import shutil

import pytest
import torch

from mamlbench.runner import checkpoint_folder
from mamlbench.runner.checkpoint_folder import CheckpointFolder
from mamlbench.runner.checkpoint_slots import SLOTS
from mamlbench.runner.tree_file import DamagedFileError

FILES = [f"{slot}{suffix}" for slot in SLOTS for suffix in (".json", ".safetensors")]


def write(files, number):
    return files.write({"progress": {"iteration": number}, "about": {}}, {"state": {"w": torch.full((3,), number)}})


def read(folder):
    """The iteration of the checkpoint that is read, and the notices."""
    checkpoint, notices = CheckpointFolder(folder).read()
    if checkpoint is None:
        return None, notices
    number = checkpoint.content["progress"]["iteration"]
    assert checkpoint.tree(torch.device("cpu"))["state"]["w"].tolist() == [number] * 3
    return number, notices


@pytest.fixture
def two(tmp_path):
    """A folder with the checkpoints of iterations 5 and 6; 6 is the newer one."""
    files = CheckpointFolder(tmp_path)
    for number in (4, 5, 6):
        assert write(files, number).exists() and read(tmp_path) == (number, [])
    return tmp_path


def test_two_are_kept(two):
    assert sorted(path.name for path in two.iterdir()) == FILES
    assert write(CheckpointFolder(two), 7).stem == SLOTS[0], "an object that has read nothing begins again"


def test_a_process_that_goes_on_leaves_the_last_good_one(two):
    files = CheckpointFolder(two)
    last, _ = files.read()
    assert write(files, 7) != last.path and read(two) == (7, [])


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_anywhere_is_found(two, name):
    """The newer one's damage is reported, and the one before is used; the older one's matters to nobody."""
    newest, _ = CheckpointFolder(two).read()
    content = (two / name).read_bytes()
    generator = random.Random(name)
    places = [0, 7, 8, 9, len(content) - 1, *(generator.randrange(len(content)) for _ in range(40))]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        (two / name).write_bytes(damaged)
        number, notices = read(two)
        if name.startswith(newest.path.stem):
            assert number == 5 and len(notices) == 1 and name in notices[0] and "damaged" in notices[0]
        else:
            assert number == 6
    (two / name).write_bytes(content)
    assert read(two) == (6, [])


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_missing_file_is_found(two, name):
    newest, _ = CheckpointFolder(two).read()
    expected = 5 if name.startswith(newest.path.stem) else 6
    content = (two / name).read_bytes()
    for length in (0, 1, 8, len(content) // 2, len(content) - 1):
        (two / name).write_bytes(content[:length])
        assert read(two)[0] == expected
    (two / name).write_bytes(content + b" ")
    assert read(two)[0] == expected
    (two / name).unlink()
    assert read(two)[0] == expected


def test_tensors_of_another_checkpoint_are_no_checkpoint(two):
    shutil.copy(two / FILES[1], two / FILES[3])
    shutil.copy(two / FILES[3], two / FILES[1])
    assert read(two)[0] in {5, 6}, "one of the two is whole"
    for name in FILES[1], FILES[3]:
        (two / name).write_bytes(b"")
    number, notices = read(two)
    assert number is None and len(notices) == 2


def test_a_kill_between_the_two_files_leaves_the_last_one(two, monkeypatch):
    """Tensors of the next one lie beside the JSON of the one before the last."""
    files = CheckpointFolder(two)
    files.read()
    real = checkpoint_folder.write_atomically

    def killed(path, content):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(checkpoint_folder, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        write(files, 7)
    assert read(two) == (6, [])


def test_what_cannot_be_read_again_does_not_replace_the_last_good_one(two, monkeypatch):
    files = CheckpointFolder(two)
    files.read()
    real = checkpoint_folder.write_atomically
    monkeypatch.setattr(checkpoint_folder, "write_atomically", lambda path, content: real(path, content[:-1]))
    for number in (7, 8, 9):
        with pytest.raises(DamagedFileError, match="does not hold what was written"):
            write(files, number)
        assert read(two)[0] == 6
    monkeypatch.undo()
    write(files, 10)
    assert read(two) == (10, [])


def test_another_version_is_not_read(two, monkeypatch):
    monkeypatch.setattr(checkpoint_folder, "VERSION", 2)
    assert read(two)[0] is None


def test_clear_removes_everything(two):
    (two / f".{SLOTS[0]}.json.12-ab.tmp").write_text("left by a killed process")
    (two / "model.json").write_text("{}")
    CheckpointFolder(two).clear()
    assert [path.name for path in two.iterdir()] == ["model.json"]
