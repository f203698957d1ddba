"""A file is there as a whole or as it was before."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mamlbench.atomic_write import replaced_when_complete, temporary_path, write_atomically


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_the_file_is_replaced_and_nothing_is_left(tmp_path):
    path = tmp_path / "record.json"
    for content in (b"first", b"second, and longer", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
        assert names(tmp_path) == ["record.json"]


def test_until_it_is_complete_the_old_file_stays(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old")
    with replaced_when_complete(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent, "renaming between file systems is no single step"
    assert path.read_text() == "half"


@pytest.mark.parametrize("written", [True, False])
def test_after_an_error_the_old_file_stays_and_nothing_is_left(tmp_path, written):
    path = tmp_path / "record.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replaced_when_complete(path) as temporary:
        if written:
            temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and names(tmp_path) == ["record.json"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_atomically(tmp_path / "missing" / "record.json", b"")


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    path, seen = tmp_path / "record.json", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(path.exists()))
    write_atomically(path, b"content")
    assert seen == [False]


def test_temporary_files_of_all_processes_are_found_by_one_pattern(tmp_path):
    path = tmp_path / "images.safetensors"
    paths = {temporary_path(path), temporary_path(path, 7)}
    for temporary in paths:
        temporary.touch()
    assert set(tmp_path.glob(temporary_path(path, "*").name)) == paths
    assert all(file.name.startswith(".") for file in paths)


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "record.json"
    contents = [bytes([number]) * 10_000 for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda content: write_atomically(path, content), contents * 15))  # raises what any call raises
    assert path.read_bytes() in contents and names(tmp_path) == ["record.json"]
