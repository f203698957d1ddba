"""``benchmarks/fuzz_readers.py``: a short run over every reader, and that it finds what it looks for."""

import queue
import random
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import fuzz_readers
from fuzz_readers import case_input, fuzz, mutated, run_case
from fuzzing.readers import READERS, Reader

from mamlbench.errors import DataError

CASES = 60


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_input_is_read_or_refused(reader, tmp_path):
    reader.prepare()
    for content in reader.valid:
        assert run_case(reader, content, tmp_path) == "read"
    outcome = fuzz(reader, CASES, 0, tmp_path)
    assert outcome.failures == {} and outcome.cases == CASES and outcome.refused > 0


def misbehaving(content, folder):
    """Do what the first letter says."""
    match content[:1]:
        case b"e":
            raise ValueError("wrong")
        case b"x":
            raise SystemExit
        case b"w":
            while True:
                time.sleep(0.01)
        case b"l":
            raise DataError("long " * 2000)
        case b"s":
            raise DataError("")
        case b"r":
            raise DataError("refused")


@pytest.mark.parametrize(
    "content, result",
    [
        (b"e", "ValueError: wrong"),
        (b"x", "SystemExit: "),
        (b"w", "more than 0 s"),
        (b"l", "a line of 10000 characters"),
        (b"s", "a line of 0 characters"),
        (b"r", "refused"),
        (b"", "read"),
    ],
)
def test_other_ends_are_failures(content, result, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_readers, "SECONDS", 0.05)
    assert run_case(Reader("mine", misbehaving, lambda: [b""]), content, tmp_path) == result


def test_failures_are_counted_by_kind_with_their_cases(tmp_path):
    reader = Reader("mine", misbehaving, lambda: [b"eeee"])
    reader.prepare()
    outcome = fuzz(reader, 50, 0, tmp_path)
    cases = outcome.failures["ValueError: wrong"]
    assert 10 < len(cases) < 50 and all(case_input(reader, 0, case).startswith(b"e") for case in cases)


def test_cases_are_those_of_their_seed_and_differ():
    inputs = [mutated(b"0123456789" * 9, [b"other"], random.Random(seed)) for seed in range(50)]
    assert inputs == [mutated(b"0123456789" * 9, [b"other"], random.Random(seed)) for seed in range(50)]
    assert len(set(inputs)) > 45


def test_a_crash_is_a_failure_of_the_case_that_was_read(monkeypatch):
    dead = SimpleNamespace(start=lambda: None, is_alive=lambda: False, exitcode=-11)
    context = SimpleNamespace(Value=lambda *_: SimpleNamespace(value=3), Queue=queue.Queue, Process=lambda **_: dead)
    monkeypatch.setattr(fuzz_readers.multiprocessing, "get_context", lambda _: context)
    outcome = fuzz_readers.fuzz_apart(0, 10, 0)
    assert outcome.failures == {"the process ended with -11": [3]} and outcome.cases == 4
