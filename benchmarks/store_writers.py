"""Many processes write into one results folder at once: no record is lost, torn or overwritten.

    python benchmarks/store_writers.py [--writers 200] [--kills 40] [--seed 0] [--folder DIR]

Three rounds, in each of which WRITERS processes begin at the same moment:

1. runs of different specs: each reserves a name, claims it, writes a model, episodes and a record;
2. runs of one spec, which get the attempts 1 to WRITERS;
3. as 1, while KILLS of them are killed by SIGKILL before a random call to the system that changes the folder: between
   a file's writing and its renaming, between that and the flushing of the folder, ...

Meanwhile one process reads every record that there is, again and again. Exits with 1 if a record is missing, stands
twice, cannot be read, or is not what its writer wrote, or if a file differs from its hash.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mamlbench.atomic_write import write_atomically
from mamlbench.record import ResultStore, RunRecord, current_environment, make_record, read_record
from mamlbench.record.claims import ClaimWatcher
from mamlbench.record.episode_file import write_episodes
from mamlbench.record.file_hashes import hashes_of_files, seals_of, state_of_file
from mamlbench.run_spec import Component, Protocol, RunSpec, Training
from mamlbench.runner.resuming import begin_run

CONTEXT = multiprocessing.get_context("fork")
ENVIRONMENT = current_environment()
MODEL_BYTES = 1 << 16


def spec_of(seed: int) -> RunSpec:
    """The spec of a run, which nothing computes."""
    part = Component(name="none")
    training = Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1)
    return RunSpec(
        algorithm=part,
        dataset=part,
        backbone=part,
        sampler=part,
        protocol=Protocol(),
        training=training,
        preset="quick",
        seed=seed,
    )


def model_of(number: int) -> bytes:
    """The model of one writer."""
    return random.Random(number).randbytes(MODEL_BYTES)


def write_run(folder: Path, spec: RunSpec, number: int) -> str:
    """Write what a run leaves behind, as it does; return its name."""
    store = ResultStore(folder)
    store.refuse_unwritable()
    run = begin_run(store, spec, ENVIRONMENT)
    artifacts = store.artifacts(run.name)
    with run.claim:
        write_atomically(artifacts / "model.safetensors", model_of(number))
        episodes = write_episodes(artifacts, {"queries": np.full((600, 5), number)})
        record = make_record(
            spec,
            ENVIRONMENT,
            "failed",
            name=run.name,
            attempt=run.attempt,
            reason=f"written by writer {number}",
            episodes=episodes,
            files=hashes_of_files(artifacts),
        )
        run.claim.check()
        store.write(run.name, record)
    return run.name


CALLS = ("mkdir", "open", "write", "fsync", "link", "replace", "unlink", "close")
MOST_CALLS = 24
"""About as many of them as a writer makes."""


def kill_at(number: int) -> None:
    """Let this process kill itself before one of the calls that change the folder."""
    made = []

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append(real)
            if len(made) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def writer(folder: Path, spec: RunSpec, number: int, start: Any, call: int) -> None:
    """Write one run when all writers are ready, and then a file that names it: a queue would not survive the kills."""
    start.wait()
    if call:
        kill_at(call)
    name = write_run(folder, spec, number)
    (folder.parent / f"{folder.name}-{number}").write_text(name)
    os._exit(0)


def reader(folder: Path, ends: Any, result: Any) -> None:
    """Read every record, again and again, until it is to end; report how many were read and what could not be."""
    reads, problems = 0, []
    while not ends.is_set():
        for path in ResultStore(folder).paths():
            try:
                read_record(path)
                reads += 1
            except Exception as error:
                problems.append(f"{path.name}: {error}")
    result.put((reads, problems))
    os._exit(0)


def round_of(folder: Path, writers: int, spec: Callable[[int], RunSpec], kills: int = 0, seed: int = 0) -> str:
    """Let all writers write at once, and check what is there afterwards; return a line about it."""
    start, ends, read = CONTEXT.Barrier(writers + 1), CONTEXT.Event(), CONTEXT.SimpleQueue()
    watching = CONTEXT.Process(target=reader, args=(folder, ends, read))
    watching.start()
    generator = random.Random(seed)
    victims = {number: generator.randint(1, MOST_CALLS) for number in generator.sample(range(writers), kills)}
    processes = [
        CONTEXT.Process(target=writer, args=(folder, spec(number), number, start, victims.get(number, 0)))
        for number in range(writers)
    ]
    for process in processes:
        process.start()
    start.wait()
    for process in processes:
        process.join()
    ends.set()
    reads, problems = read.get()
    watching.join()
    killed = sum(process.exitcode == -signal.SIGKILL for process in processes)
    failed = [process.exitcode for process in processes if process.exitcode not in (0, -signal.SIGKILL)]
    if problems or failed:
        sys.exit(f"{len(problems)} records could not be read, {len(failed)} writers failed: {(problems + failed)[0]}")
    names = {number: folder.parent / f"{folder.name}-{number}" for number in range(writers)}
    count = check(folder, {number: path.read_text() for number, path in names.items() if path.exists()})
    return f"{writers} writers, {killed} killed: {count} records, all whole, while they were read {reads:,} times"


def check(folder: Path, written: dict[int, str]) -> int:
    """Compare the folder with what the writers report; return the number of records."""
    store = ResultStore(folder)
    records: dict[str, RunRecord] = {path.stem: read_record(path) for path in store.paths()}
    if len(set(written.values())) < len(written) or not set(written.values()) <= records.keys():
        sys.exit(f"{len(written)} writers ended, with {len(set(written.values()))} names and {len(records)} records")
    numbers = {number: name for name, record in records.items() for number in [int(record.reason.split()[-1])]}
    if len(numbers) < len(records) or any(numbers[number] != name for number, name in written.items()):
        sys.exit("a record is not that of its writer")
    for number, name in numbers.items():
        recorded, actual = seals_of(store.record_path(name))
        states = {state_of_file(store.artifacts(name) / file, value) for file, value in records[name].files.items()}
        model = (store.artifacts(name) / "model.safetensors").read_bytes()
        if recorded != actual or states != {"as recorded"} or model != model_of(number):
            sys.exit(f"{name} or a file of it is not what was written")
    return len(records)


def left_over(folder: Path) -> list[str]:
    """Temporary files, and claims that somebody still holds."""
    hidden = [path for path in folder.rglob(".*") if path.name.endswith(".tmp")]
    held = [path for path in folder.iterdir() if path.is_dir() and ClaimWatcher().is_held(path)]
    return [path.name for path in (*hidden, *held)]


def stress(folder: Path, writers: int, kills: int, seed: int) -> list[str]:
    """All three rounds; return a line about each."""
    lines = ["different specs: " + round_of(folder / "different", writers, spec_of)]
    lines.append("one spec: " + round_of(folder / "same", writers, lambda _: spec_of(0)))
    attempts = sorted(record.attempt for record in ResultStore(folder / "same").records())
    if attempts != list(range(1, writers + 1)):
        sys.exit(f"the attempts are {attempts}")
    for name in ("different", "same"):
        if left_over(folder / name):
            sys.exit(f"left over: {left_over(folder / name)}")
    lines.append("killed: " + round_of(folder / "killed", writers, spec_of, kills, seed))
    write_run(folder / "killed", spec_of(writers), writers)  # a later run removes what they left in its folder
    if left := [path.name for path in (folder / "killed").iterdir() if path.name.endswith(".tmp")]:
        sys.exit(f"left over: {left}")
    return lines


def main() -> None:
    """Write, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=200)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        for line in stress(Path(temporary), arguments.writers, arguments.kills, arguments.seed):
            print(line)


if __name__ == "__main__":
    main()
