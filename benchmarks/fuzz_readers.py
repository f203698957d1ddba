"""Fuzzes every reader of files and texts from outside: damaged copies of valid ones, made by a seed.

    python benchmarks/fuzz_readers.py --cases 20000

Each reader has its share of the cases. A case has to be read or to end in an error of mamlbench, in at most five
seconds and within a limit of memory; anything else is a failure, whose input is kept. A reader runs in a process of its
own, so that a crash is a failure too. The exit code is 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import queue
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fuzzing.readers import READERS, Reader

from mamlbench.errors import MamlbenchError

SECONDS = 5.0
MEMORY = 2 << 30
"""Bytes of address space that a reader may take beyond what it has at its start."""

LONGEST_LINE = 4000
"""Characters of a line of a message, which may name ten things."""

TOKENS = [
    *(b"\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\n", b'"', b"'", b",", b"../", b"NaN", b"]"),
    *(b"9" * 30, b"1e999", b"-1", b"null", b"true", b"[" * 500, b'{"a":' * 300, b"\xef\xbb\xbf", b"\xed\xa0\x80"),
]
"""Texts and numbers that readers mistake for something else."""


class TooSlowError(BaseException):
    """A case took more than ``SECONDS``; no reader may catch it as an error of a file."""


@dataclass
class Outcome:
    """What the cases of one reader ended in."""

    reader: str
    cases: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    failures: dict[str, list[int]] = field(default_factory=dict)


def mutated(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Damage a file in one to four places: bits, bytes, words, parts left out, doubled, moved or of another file."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        start = chance.randrange(len(data) + 1)
        length = min(len(data) - start, chance.choice((1, 2, 4, 8, 64, 512)))
        part = bytes(data[start : start + length])
        match chance.randrange(8):
            case 0 if part:
                data[start] ^= 1 << chance.randrange(8)
            case 1:
                data[start : start + length] = chance.randbytes(length)
            case 2:
                data[start : start + length] = b""
            case 3:
                data[start:start] = part * chance.choice((1, 3, 50))
            case 4:
                del data[start:]
            case 5:
                other = chance.choice(others)
                place = chance.randrange(len(other) + 1)
                data[start : start + length] = other[place : place + chance.choice((4, 64, 512))]
            case 6 if part:
                data[start] = (data[start] + chance.choice((-1, 1, 16, 128))) % 256
            case _:
                token = chance.choice(TOKENS)
                data[start : start + chance.choice((0, len(token)))] = token
    return bytes(data)


def case_input(reader: Reader, seed: int, case: int) -> bytes:
    """The input of one case, always the same for a seed."""
    chance = random.Random(f"{seed} {reader.name} {case}")
    content = chance.choice(reader.valid)
    return mutated(content, reader.valid, chance)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlowError inside when the time is over."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TooSlowError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def run_case(reader: Reader, content: bytes, folder: Path) -> str:
    """Read one input: 'read', 'refused', or what went wrong."""
    try:
        with time_limit(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large pictures and odd metadata
            reader.read(content, folder)
    except MamlbenchError as error:
        longest = max(map(len, str(error).splitlines()), default=0)
        return "refused" if 0 < longest <= LONGEST_LINE else f"a line of {longest} characters"
    except TooSlowError:
        return f"more than {SECONDS:.0f} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "read"


def fuzz(
    reader: Reader, cases: int, seed: int, folder: Path, begin: Callable[[int], None] = lambda case: None
) -> Outcome:
    """Run the cases of one reader in this process; ``begin`` is called with the number of each."""
    outcome = Outcome(reader.name)
    for case in range(cases):
        begin(case)
        content = case_input(reader, seed, case)
        start = time.perf_counter()
        result = run_case(reader, content, folder)
        outcome.slowest = max(outcome.slowest, time.perf_counter() - start)
        outcome.cases += 1
        if result == "read":
            outcome.read += 1
        elif result == "refused":
            outcome.refused += 1
        else:
            outcome.failures.setdefault(result, []).append(case)
    return outcome


def _limited(
    number: int, cases: int, seed: int, current: multiprocessing.Value, results: multiprocessing.Queue
) -> None:  # type: ignore[valid-type,type-arg]
    reader = READERS[number]
    reader.prepare()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        results.put(fuzz(reader, cases, seed, Path(folder), lambda case: setattr(current, "value", case)))


def fuzz_apart(number: int, cases: int, seed: int) -> Outcome:
    """Run the cases of one reader in a process of its own, with a limit of memory; a crash is a failure."""
    context = multiprocessing.get_context("spawn")
    current, results = context.Value("q", -1), context.Queue()
    process = context.Process(target=_limited, args=(number, cases, seed, current, results))
    process.start()
    while True:
        try:
            outcome: Outcome = results.get(timeout=0.2)
            break
        except queue.Empty:
            if not process.is_alive() and results.empty():
                crash = {f"the process ended with {process.exitcode}": [current.value]}
                return Outcome(READERS[number].name, current.value + 1, failures=crash)
    process.join()
    return outcome


def main() -> int:
    """Fuzz the readers, print a line for each, and keep the inputs of failures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000, help="number of cases of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[reader.name for reader in READERS], help="one reader")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for the inputs of failures")
    arguments = parser.parse_args()
    numbers = [n for n, reader in enumerate(READERS) if arguments.only in (None, reader.name)]
    share = -(-arguments.cases // len(numbers))
    total: Counter[str] = Counter()
    print(f"{'reader':<16}{'cases':>8}{'read':>8}{'refused':>9}{'failures':>10}{'slowest':>10}", flush=True)
    for number in numbers:
        outcome = fuzz_apart(number, share, arguments.seed)
        failed = sum(map(len, outcome.failures.values()))
        print(
            f"{outcome.reader:<16}{outcome.cases:>8,}{outcome.read:>8,}{outcome.refused:>9,}{failed:>10,}"
            f"{outcome.slowest:>8.2f} s",
            flush=True,
        )
        total.update(cases=outcome.cases, failures=failed)
        for result, cases in outcome.failures.items():
            arguments.keep.mkdir(parents=True, exist_ok=True)
            path = arguments.keep / f"{outcome.reader}-{arguments.seed}-{cases[0]}"
            READERS[number].prepare()
            path.write_bytes(case_input(READERS[number], arguments.seed, cases[0]))
            print(f"    {len(cases)} x {result}\n    kept as {path}", flush=True)
    print(json.dumps(total))
    return 1 if total["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
