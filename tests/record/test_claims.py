"""Claims: one process at a time holds a run, a dead one's is taken over by exactly one other."""

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamlbench.errors import HeldError, LostClaimError
from mamlbench.record import claims
from mamlbench.record.claims import ClaimWatcher, claim_path

ELSEWHERE = '{"host": "far", "machine": "another", "pid": 1, "started": "0", "token": "00"}'
QUICK = 0.02
"""Seconds between the heartbeats of a test."""


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def claim_elsewhere(target, beat=0, number=1):
    """A claim of a process on another machine."""
    claim_path(target, number).write_text(f"{beat:020d}\n{ELSEWHERE}\n")


def claim_of_the_dead(target, number=1):
    """A claim of a process on this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-Sc", ""])
    ended.wait()
    holder = ELSEWHERE.replace('"another"', f'"{claims._machine()}"').replace('"pid": 1', f'"pid": {ended.pid}')
    claim_path(target, number).write_text(f"{0:020d}\n{holder}\n")


def test_a_claim_is_taken_once_and_again_after_its_release(tmp_path):
    watcher = ClaimWatcher()
    with watcher.take(tmp_path / "run") as claim:
        assert not claim.is_lost
        claim.check()
        assert watcher.take(tmp_path / "run") is None and watcher.is_held(tmp_path / "run")
        assert watcher.holder(tmp_path / "run") == claim.holder and claim.holder.pid == os.getpid()
        with pytest.raises(HeldError, match=rf"'run' is being run by process {os.getpid()} on "):
            watcher.take_or_raise(tmp_path / "run")
        with watcher.take_or_raise(tmp_path / "other"):
            pass
    assert list(tmp_path.iterdir()) == [] and watcher.holder(tmp_path / "run") is None
    watcher.take(tmp_path / "run").release()


def test_a_dead_process_of_this_machine_loses_its_claim_at_once(tmp_path):
    claim_of_the_dead(tmp_path / "run")
    with ClaimWatcher().take(tmp_path / "run") as claim:
        assert claim_path(tmp_path / "run", 2).exists() and not claim.is_lost
    assert list(tmp_path.iterdir()) == [], "the files of dead holders are removed too"


def test_a_number_used_by_another_process_is_dead_too(tmp_path):
    holder = ELSEWHERE.replace('"another"', f'"{claims._machine()}"').replace('"pid": 1', f'"pid": {os.getpid()}')
    claim_path(tmp_path / "run", 1).write_text(f"{0:020d}\n{holder}\n")
    assert ClaimWatcher().take(tmp_path / "run") is not None


def test_a_heartbeat_that_stands_still_is_judged_by_the_observers_clock(tmp_path):
    clock = Clock()
    watcher = ClaimWatcher(stale_seconds=60, clock=clock)
    for beat in range(5):
        claim_elsewhere(tmp_path / "run", beat)
        for _ in range(3):
            assert watcher.take(tmp_path / "run") is None and watcher.holder(tmp_path / "run").host == "far"
            clock.now += 19
    clock.now += 3  # 60 seconds after the first look at the last heartbeat
    assert watcher.holder(tmp_path / "run") is None
    watcher.take(tmp_path / "run").release()


def test_times_of_files_do_not_matter(tmp_path):
    """The clock of a file server, or of the holder, may be years off."""
    claim_elsewhere(tmp_path / "run")
    for seconds in (0, 4_000_000_000):
        os.utime(claim_path(tmp_path / "run", 1), (seconds, seconds))
        assert ClaimWatcher().take(tmp_path / "run") is None


@pytest.mark.parametrize("content", [b"", b"0" * 20, b"\xff\xfe", b'0\n{"pid": 1}', b"0" * 20 + b"\n[1]"])
def test_a_file_that_was_not_written_completely_is_somebodys_until_it_stands_still(tmp_path, content):
    clock = Clock()
    watcher = ClaimWatcher(clock=clock)
    claim_path(tmp_path / "run", 1).write_bytes(content)
    assert watcher.take(tmp_path / "run") is None and watcher.is_held(tmp_path / "run")
    clock.now += claims.STALE_SECONDS
    watcher.take(tmp_path / "run").release()


def test_who_was_suspended_notices_that_its_claim_is_lost(tmp_path):
    clock = Clock()
    sleeper = ClaimWatcher(beat_seconds=1000).take(tmp_path / "run")
    path = claim_path(tmp_path / "run", 1)
    path.write_bytes(path.read_bytes().replace(claims._machine().encode(), b"another"))  # as another machine sees it
    object.__setattr__(sleeper.holder, "machine", "another")
    other = ClaimWatcher(clock=clock)
    assert other.take(tmp_path / "run") is None
    clock.now += claims.STALE_SECONDS
    taker = other.take(tmp_path / "run")
    with pytest.raises(LostClaimError, match="took over 'run'"):
        sleeper.check()
    sleeper.release()
    assert not taker.is_lost, "what a former holder does later changes nothing"
    taker.release()
    successor = ClaimWatcher().take(tmp_path / "run")
    assert sleeper.is_lost and not successor.is_lost
    successor.release()


def test_the_heart_beats(tmp_path):
    with ClaimWatcher(beat_seconds=QUICK).take(tmp_path / "run"):
        path, seen = claim_path(tmp_path / "run", 1), set()
        deadline = time.monotonic() + 30
        while len(seen) < 3 and time.monotonic() < deadline:
            seen.add(path.read_bytes())
            time.sleep(QUICK / 2)
        assert len(seen) == 3
        assert len({content[20:] for content in seen}) == 1, "only the number changes"


def test_a_forked_process_holds_nothing(tmp_path):
    claim = ClaimWatcher().take(tmp_path / "run")
    pid = os.fork()
    if pid == 0:
        claim.release()
        os._exit(0 if claim.is_lost else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not claim.is_lost
    claim.release()


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        ClaimWatcher().take(tmp_path / "missing" / "run")


@pytest.mark.parametrize("name", ["with space", "dots.in.it.json", "имя-名前", "[glob]*?"])
def test_any_name_can_be_claimed(tmp_path, name):
    with ClaimWatcher().take(tmp_path / name):
        assert ClaimWatcher().is_held(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=100)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["take", "release", "sleep", "beat"])), max_size=25))
def test_at_most_one_holds_whatever_happens(tmp_path_factory, steps):
    """Four machines take, release, are suspended and go on in any order; none holds what another one holds."""
    target = tmp_path_factory.mktemp("claims") / "run"
    clock, holding, asleep = Clock(), {}, set()
    watchers = [ClaimWatcher(clock=clock, beat_seconds=1000) for _ in range(4)]
    count = 0
    with pytest.MonkeyPatch.context() as patch:
        for machine, step in steps:
            patch.setattr(claims, "_machine", lambda machine=machine: f"machine {machine}")
            if step == "take" and machine not in holding:
                claim = watchers[machine].take(target)
                holding |= {machine: claim} if claim else {}
            elif step == "release" and machine in holding:
                holding.pop(machine).release()
                asleep.discard(machine)
            elif step == "sleep" and machine in holding:
                asleep.add(machine)
            clock.now += 20
            count += 1
            for awake in set(holding) - asleep:
                os.pwrite(holding[awake]._descriptor, f"{count:020d}".encode(), 0)
                assert not holding[awake].is_lost, "only a suspended process loses its claim"
            assert sum(not claim.is_lost for claim in holding.values()) <= 1
    for claim in holding.values():
        claim.release()


def without_links(source, target):
    raise OSError(errno.EPERM, "Operation not permitted")


def race(target, start, results, links):
    if not links:
        os.link = without_links
    start.wait()
    claim = ClaimWatcher().take(target)
    results.put(None if claim is None else claim.holder.pid)
    start.wait()  # everybody has tried


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("state", ["free", "dead"])
def test_of_many_processes_exactly_one_succeeds(tmp_path, state, links):
    context = multiprocessing.get_context("fork")
    for number in range(3):
        target = tmp_path / f"run {number}"
        if state == "dead":
            claim_of_the_dead(target)
        start, results = context.Barrier(8), context.SimpleQueue()
        processes = [context.Process(target=race, args=(target, start, results, links)) for _ in range(8)]
        for process in processes:
            process.start()
        winners = [results.get() for _ in processes]
        for process in processes:
            process.join()
        assert sum(winner is not None for winner in winners) == 1


def work(folder, cells, log):
    """Do every cell that is not done: what a worker of a suite does."""
    watcher = ClaimWatcher(beat_seconds=QUICK, stale_seconds=30)
    while left := [cell for cell in range(cells) if not (folder / f"{cell}.json").exists()]:
        for cell in left:
            claim = watcher.take(folder / str(cell))
            if claim is None:
                continue
            with claim:
                if not (folder / f"{cell}.json").exists():
                    time.sleep(0.002)
                    claim.check()
                    os.write(log, f"{cell}\n".encode())
                    (folder / f"{cell}.json").touch()
        time.sleep(0.005)
    os._exit(0)


@contextlib.contextmanager
def opened_to_append(path):
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def start_worker(folder: Path, cells: int, log: int) -> int:
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work(folder, cells, log)
        os._exit(1)
    return pid


def test_workers_that_are_killed_lose_nothing_and_do_nothing_twice(tmp_path):
    cells = 100
    folder = tmp_path / "cells"
    folder.mkdir()
    with opened_to_append(tmp_path / "log") as log:
        workers = [start_worker(folder, cells, log) for _ in range(4)]
        for number in range(10):
            time.sleep(0.02)
            victim = workers.pop(number % len(workers))
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            workers.append(start_worker(folder, cells, log))
        assert [os.waitpid(pid, 0)[1] for pid in workers] == [0] * len(workers)
    done = (tmp_path / "log").read_text().split()
    killed_between = 10  # after the line of the log and before the file
    assert set(done) == {str(cell) for cell in range(cells)} and len(done) <= cells + killed_between
    assert sorted(path.name for path in folder.glob("*.json")) == sorted(f"{cell}.json" for cell in range(cells))
