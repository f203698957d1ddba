"""Many processes share a suite, and random ones are killed: each cell is run once, bit for bit as in a serial run.

    python benchmarks/join_stress.py [--workers 8] [--cells 200] [--every 3] [--seed 0] [--separate]

First one process runs the suite alone. Then WORKERS processes run ``mamlbench suite study.toml --join`` on one folder.
Every EVERY seconds one of them, chosen by chance, is killed by SIGKILL, and another is started. By default a worker
computes its cells in its own process, which is quick; with --separate each cell has a process of its own, as users have
it, and either the worker or the cell's process is killed. Exits with 1 if a cell is missing, was run twice or differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import mamlbench.runner.execute  # noqa: F401 (forked processes have it already)
from mamlbench.cli.main import main as mamlbench_main
from mamlbench.record import RunRecord, read_record
from mamlbench.runner.suites.join_suite import _SharedWork

SUITE = """
algorithm = ["maml", "fomaml", "reptile", "protonet"]
dataset = "glyphs"
plugins = ["here.py"]
seeds = {seeds}
iterations = {iterations}
meta_batch_size = 4
validate_every = 10
validation_episodes = 20
test_episodes = 50
engine = "vmap"
device = "cpu"
options.backbone.width = 8
"""
HERE = '''
"""A launcher that runs jobs in this process."""
import mamlbench
from mamlbench.api import Launcher

class Here(Launcher):
    def launch(self, jobs, emit):
        for job in jobs:
            yield job, mamlbench.perform(job, emit)

@mamlbench.hookimpl
def mamlbench_register_launchers(register):
    register("here", Here)
'''


def main() -> None:
    """Run, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--every", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--separate", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        stress(arguments, Path(temporary))


def stress(arguments: argparse.Namespace, folder: Path) -> None:
    """Run the suite serially, then shared, and compare."""
    (folder / "here.py").write_text(HERE)
    text = SUITE.format(seeds=arguments.cells // 4, iterations=arguments.iterations)
    (folder / "study.toml").write_text(text)
    started = time.monotonic()
    serial = start(folder, "serial", separate=arguments.separate)
    serial.join()
    serial_seconds = time.monotonic() - started
    print(f"serial: {serial_seconds:.0f} s", flush=True)
    started = time.monotonic()
    kills = kill_and_replace(arguments, folder)
    seconds = time.monotonic() - started
    check(folder, kills, seconds)


def kill_and_replace(arguments: argparse.Namespace, folder: Path) -> Counter[str]:
    """Keep so many workers at work until one of them ends by itself; return what was killed."""
    generator = random.Random(arguments.seed)
    workers = [start(folder, "shared", "--join", separate=arguments.separate) for _ in range(arguments.workers)]
    kills: Counter[str] = Counter()
    due = time.monotonic() + arguments.every
    while all(worker.exitcode != 0 for worker in workers):
        time.sleep(0.05)
        if time.monotonic() < due:
            continue
        due = time.monotonic() + arguments.every * generator.uniform(0.5, 1.5)
        number = generator.randrange(len(workers))
        victim, what = workers[number], "worker"
        children = children_of(victim.pid)
        if children and generator.random() < 0.5:
            os.kill(generator.choice(children), signal.SIGKILL)
            kills["a cell's own process"] += 1
            continue
        victim.kill()
        victim.join()
        kills[what] += 1
        workers[number] = start(folder, "shared", "--join", separate=arguments.separate)
    for worker in workers:
        worker.join()
        if worker.exitcode != 0:
            sys.exit(f"a worker ended with exit code {worker.exitcode}")
    return kills


def children_of(pid: int | None) -> list[int]:
    """The processes that compute a worker's cells."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def start(folder: Path, results: str, *flags: str, separate: bool) -> Any:
    """Start the command in a process of its own."""
    launcher = () if separate else ("--launcher", "here")
    command = ["suite", "study.toml", "--results-dir", results, "-q", *flags, *launcher]
    process = multiprocessing.get_context("fork").Process(target=work, args=(folder, command))
    process.start()
    return process


def work(folder: Path, command: list[str]) -> None:
    """Run the command line, and note how long claims and looks took beside the cells."""
    os.chdir(folder)
    sys.stdout = sys.stderr = (folder / "output").open("a")
    seconds = folder / f"seconds-{os.getpid()}"
    measure(_SharedWork, "attempt", seconds)
    measure(_SharedWork, "_run", seconds)
    code = mamlbench_main(command)
    sys.stdout.flush()
    os._exit(code)


def measure(owner: type, name: str, seconds: Path) -> None:
    """Append a line to a file for each call of a method: its name, wall seconds and CPU seconds.

    A worker that is killed has noted all but its last cell.
    """
    function = getattr(owner, name)

    def measured(*arguments: Any) -> Any:
        began = time.perf_counter(), time.process_time()
        try:
            return function(*arguments)
        finally:
            with seconds.open("a") as file:
                file.write(f"{name} {time.perf_counter() - began[0]} {time.process_time() - began[1]}\n")

    setattr(owner, name, measured)


def total_seconds(folder: Path) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each measured method, all workers together."""
    totals = {"attempt": (0.0, 0.0), "_run": (0.0, 0.0)}
    for path in folder.glob("seconds-*"):
        for line in path.read_text().splitlines():
            name, wall, cpu = line.split()
            totals[name] = totals[name][0] + float(wall), totals[name][1] + float(cpu)
    return totals


def check(folder: Path, kills: Counter[str], seconds: float) -> None:
    """Compare the two folders and print the figures."""
    serial, shared = (numbers(folder / name) for name in ("serial", "shared"))
    different = [name for name in serial | shared if serial.get(name) != shared.get(name)]
    if different:
        sys.exit(f"{len(different)} of {len(serial)} records differ or are missing, the first: {different[0]}")
    hidden = [path.name for path in (folder / "shared").iterdir() if path.name.startswith(".")]
    (all_wall, all_cpu), (cells_wall, cells_cpu) = total_seconds(folder).values()
    records = [read_record(path) for path in (folder / "shared").glob("*.json")]
    pieces = Counter(record.measurement.pieces for record in records if record.measurement)
    killed = ", ".join(f"{count} times a {what}" for what, count in kills.items())
    print(f"{len(shared)} cells, each once, equal to those of a serial run, in {seconds:.0f} s; killed: {killed}")
    print(f"cells by the number of processes that computed them: {dict(sorted(pieces.items()))}")
    wall, cpu = all_wall - cells_wall, all_cpu - cells_cpu
    print(f"claims and looks: {wall:.2f} s beside {cells_wall:.0f} s of cells ({wall / cells_wall:.2%})")
    print(f"in CPU seconds: {cpu:.2f} beside {cells_cpu:.0f} ({cpu / cells_cpu:.2%})")
    if hidden:
        print(f"left over: {len(hidden)} hidden files, such as {hidden[0]}")


def numbers(folder: Path) -> dict[str, Any]:
    """Everything but times, by the name of the record."""
    return {path.stem: without_times(read_record(path), folder) for path in folder.glob("*.json")}


def without_times(record: RunRecord, folder: Path) -> tuple[Any, ...]:
    """What must be equal, whatever process ran it."""
    curve = [(point.iteration, point.loss, point.validation) for point in record.curve]
    content = record.model_dump(mode="json", exclude={"measurement", "started", "engine", "curve"})
    assert record.model is not None
    return content, curve, (folder / record.model).with_suffix(".safetensors").read_bytes()


if __name__ == "__main__":
    main()
