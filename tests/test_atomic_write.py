"""A file is there as a whole or as it was before."""

import errno
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mamlbench import atomic_write, process_identity
from mamlbench.atomic_write import (
    ABANDONED_SECONDS,
    create_exclusively,
    remove_abandoned,
    replaced_when_complete,
    temporary_path,
    write_atomically,
    write_new_file,
)

FORK = multiprocessing.get_context("fork")


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


def test_the_content_is_on_the_disk_before_the_name_is_and_then_the_name(tmp_path, monkeypatch):
    path, seen, flush = tmp_path / "record.json", [], os.fsync

    def fsync(descriptor):
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink().name.partition(".json")[0], path.exists()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"content")
    assert seen == [(".record", False), (tmp_path.name, True)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_folder_that_cannot_be_flushed_is_an_error_only_if_the_disk_fails(tmp_path, monkeypatch, number):
    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if number == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            write_atomically(tmp_path / "record.json", b"content")
    else:
        write_atomically(tmp_path / "record.json", b"content")
    assert names(tmp_path) == ["record.json"]


def killed_in(call, path):
    """Replace a file in a process that is killed before ``call``."""

    def work():
        setattr(os, call, lambda *arguments, **named: os.kill(os.getpid(), signal.SIGKILL))
        write_atomically(path, b"new and longer")

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_killed_process_leaves_the_old_file_and_what_it_left_is_removed(tmp_path, call):
    path = tmp_path / "record.json"
    path.write_text("old")
    killed_in(call, path)
    assert path.read_text() == "old" and len(names(tmp_path)) == 2
    other = temporary_path(tmp_path / "other.json")
    other.write_text("this process writes it")
    (left,) = set(tmp_path.iterdir()) - {path, other}
    assert remove_abandoned(tmp_path, "other.json") == [], "of another file"
    assert remove_abandoned(tmp_path, "record.json") == [left]
    assert set(tmp_path.iterdir()) == {path, other}


@pytest.mark.parametrize("jump", [-40 * 365, -2, 2, 40 * 365])
def test_a_clock_that_jumps_takes_no_file_from_a_process_that_writes_it(tmp_path, monkeypatch, jump):
    """Before, a temporary file counted as abandoned an hour after it was written by this machine's clock."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 86_400 * jump)
    with replaced_when_complete(tmp_path / "images.safetensors") as temporary:
        temporary.write_bytes(b"half")
        os.utime(temporary, (1, 1))
        assert remove_abandoned(tmp_path) == []
        monkeypatch.setattr(process_identity, "machine", lambda: "seen from another machine")
        os.utime(temporary)
        assert remove_abandoned(tmp_path) == []
    assert names(tmp_path) == ["images.safetensors"]


def test_what_another_machine_left_is_removed_after_a_day_of_the_file_systems_clock(tmp_path, monkeypatch):
    young, old = (temporary_path(tmp_path / name) for name in ("young", "old"))
    early = tmp_path / ".record.json.4711-abcdef01.tmp"  # as early releases called them
    others = [tmp_path / name for name in (".hidden", "not.tmp", ".x.tmp", ".run.claim-1")]
    for path in (young, old, early, *others):
        path.touch()
    for path in (old, early, *others):
        os.utime(path, (time.time() - ABANDONED_SECONDS - 60,) * 2)
    monkeypatch.setattr(process_identity, "machine", lambda: "another")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert set(remove_abandoned(tmp_path)) == {old, early}
    assert set(tmp_path.iterdir()) == {young, *others}


def test_a_folder_that_cannot_be_listed_or_changed_is_left_alone(tmp_path, monkeypatch):
    assert remove_abandoned(tmp_path / "missing") == []
    killed_in("replace", tmp_path / "record.json")

    def refuse(path):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert remove_abandoned(tmp_path) == [] and len(names(tmp_path)) == 1


LONG = ["a" * 255, "名" * 85, "é" * 127]


@pytest.mark.parametrize("name", [*LONG, "with space.and.dots", "[x]*?.json", "имя"])
def test_any_name_that_a_file_can_have_can_be_written(tmp_path, name):
    path = tmp_path / name
    write_atomically(path, b"content")
    assert not write_new_file(path, b"other") and path.read_bytes() == b"content"
    assert names(tmp_path) == [name]
    killed_in("replace", path)
    assert len(remove_abandoned(tmp_path, name)) == 1


def test_a_new_file_is_written_once_whatever_happens(tmp_path, monkeypatch):
    path, flushed, flush = tmp_path / "record.json", [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (flushed.append(path.exists()), flush(descriptor)))
    assert write_new_file(path, b"first") and flushed == [False, True]
    assert not write_new_file(path, b"second")
    assert path.read_bytes() == b"first" and names(tmp_path) == ["record.json"]


@pytest.mark.parametrize("links", [True, False])
def test_a_disk_that_takes_only_a_part_at_a_time_gets_everything(tmp_path, monkeypatch, links):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, bytes(content)[:3]))
    if not links:

        def refuse(source, target):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    os.close(create_exclusively(tmp_path / "claim", b"content in several parts"))
    assert (tmp_path / "claim").read_bytes() == b"content in several parts" and names(tmp_path) == ["claim"]


@pytest.mark.parametrize("writes", [0, 1])
def test_an_exclusive_file_is_not_there_if_it_cannot_be_written(tmp_path, monkeypatch, writes):
    """A second write, of a whole file, is that without hard links."""
    write, made = os.write, []

    def full(descriptor, content):
        made.append(content)
        if len(made) % (writes + 1) == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content)

    def without_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "link", without_links)
    for create in (create_exclusively, write_new_file):
        with pytest.raises(OSError, match="No space left"):
            create(tmp_path / "claim", b"content")
    assert names(tmp_path) == [] and not atomic_write._unfinished


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "record.json"
    contents = [bytes([number]) * 10_000 for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda content: write_atomically(path, content), contents * 15))  # raises what any call raises
    assert path.read_bytes() in contents and names(tmp_path) == ["record.json"]
