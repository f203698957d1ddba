"""Who wrote a file, and whether that process still runs."""

import os
import subprocess
import sys

import pytest

from mamlbench import process_identity
from mamlbench.process_identity import machine, owner_has_ended, owner_name, process_start


def name_of_an_ended_process():
    code = "from mamlbench.process_identity import owner_name; print(owner_name())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_each_name_is_another_one_of_this_process():
    first, second = owner_name(), owner_name()
    assert first != second and first.split("-")[:3] == second.split("-")[:3]
    assert first.split("-")[1] == str(os.getpid())
    assert owner_has_ended(first) is False and owner_has_ended(second) is False


def test_a_process_that_has_ended_is_known_at_once():
    name = name_of_an_ended_process()
    assert owner_has_ended(name) is True
    short, _, start, random = name.split("-")
    again = f"{short}-{os.getpid()}-{start}-{random}"
    assert owner_has_ended(again) is True, "the number was given to another process, which started later"


def test_nothing_is_known_of_another_machine(monkeypatch):
    name = name_of_an_ended_process()
    monkeypatch.setattr(process_identity, "machine", lambda: "another")
    assert owner_has_ended(name) is None


@pytest.mark.parametrize("name", ["", "123-abcdef01", "x", "0123456789abcdef", f"{'a' * 8}-1-2-{'b' * 9}"])
def test_names_of_early_releases_and_others_are_of_nobody(name):
    assert owner_has_ended(name) is None


def test_a_zombie_has_ended():
    child = subprocess.Popen([sys.executable, "-Sc", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(child.pid) == ""
    child.wait()
    assert process_start(os.getpid()) and machine()
