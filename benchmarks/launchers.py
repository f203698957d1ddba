"""Suites through launchers: how much faster they are than one cell after another, and whether kills lose anything.

    python benchmarks/launchers.py speed [--cells 8] [--workers 2] [--launchers processes ray dask]
    python benchmarks/launchers.py kills [--tries 20] [--launchers dask ray slurm] [--seed 0]

``speed`` runs a suite one cell after another and then with each launcher, and compares the records bit for bit, times
aside. ``kills`` runs a suite of three cells; when one of them has a checkpoint, the worker that runs it is killed by
SIGKILL, and at a moment chosen by chance the process that launches. Dask and Ray run by turns on a cluster of the
launcher's own and on one at an address that outlives it; there and on Slurm (submitit's local executor) --attach
follows what still runs. The same command then finishes the suite. A try fails if a cell is missing or was run twice, if
a record differs from that of an undisturbed run, if no cell went on from a checkpoint, or if a process is left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mamlbench.record import RunRecord, read_record

SUITE = """
algorithm = ["reptile"]
dataset = "glyphs"
seeds = {seeds}
iterations = {iterations}
meta_batch_size = 4
validate_every = 10
validation_episodes = 20
test_episodes = 50
checkpoint_every = 5
engine = "vmap"
device = "cpu"
options.backbone.width = 8
"""
MARK = "MAMLBENCH_BENCHMARK_TRY"
"""Environment variable that all processes of a try inherit: so those that are left are found."""
CELL = "mamlbench.runner.packed_process"
END_SECONDS = 60.0
"""Time that processes have to end after a try."""
LONGEST_SECONDS = 900.0
OPTIONS = {
    "processes": ["launcher.max_parallel={workers}"],
    "dask": ["launcher.workers={workers}", "launcher.scratch={folder}/scratch"],
    "ray": ["launcher.workers={workers}", "launcher.scratch={folder}/scratch"],
    "slurm": ["launcher.cluster=local", "launcher.max_parallel={workers}"],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "kills"))
    parser.add_argument("--launchers", nargs="+", choices=sorted(OPTIONS))
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as many threads as the launchers request cores
    with tempfile.TemporaryDirectory() as temporary:
        {"speed": speed, "kills": kills}[arguments.what](arguments, Path(temporary))


def speed(arguments: argparse.Namespace, folder: Path) -> None:
    """Time the suite with each launcher."""
    write_suite(folder, arguments.cells, arguments.iterations or 300)
    serial, seconds = timed(folder, "serial", [])
    print(f"one after another: {seconds:.1f} s", flush=True)
    for name in arguments.launchers or ("processes", "ray", "dask"):
        numbers, parallel = timed(folder, name, launcher_options(name, folder, arguments.workers))
        refuse_differences(serial, numbers)
        print(
            f"{name}, {arguments.workers} workers: {parallel:.1f} s, {seconds / parallel:.2f} times faster", flush=True
        )
    print(f"all {len(serial)} records of each are equal, times aside")


def timed(folder: Path, results: str, options: Sequence[str]) -> tuple[dict[str, Any], float]:
    """Run the suite; its numbers, and the wall seconds."""
    started = time.monotonic()
    run_to_the_end(suite(folder, results, options))
    return numbers_of(folder / results), time.monotonic() - started


def kills(arguments: argparse.Namespace, folder: Path) -> None:
    """Kill a worker and the launcher of each kind, so many times."""
    generator = random.Random(arguments.seed)
    write_suite(folder, 3, arguments.iterations or 60)
    serial, _ = timed(folder, "serial", [])
    for name in arguments.launchers or ("dask", "ray", "slurm"):
        resumed = attached = 0
        for number in range(arguments.tries):
            one = folder / f"{name}-{number}"
            one.mkdir()
            write_suite(one, 3, arguments.iterations or 60)
            how = kill_once(name, one, serial, generator, outlives=number % 2 == 1)
            resumed, attached = resumed + how[0], attached + how[1]
        print(
            f"{name}: {arguments.tries} tries, nothing lost, no process left; {resumed} cells went on from a "
            f"checkpoint, {attached} came back through --attach",
            flush=True,
        )


def kill_once(
    name: str, folder: Path, serial: dict[str, Any], generator: random.Random, *, outlives: bool
) -> tuple[int, int]:
    """One try; the number of cells that went on from a checkpoint, and of those that --attach brought back."""
    os.environ[MARK] = str(folder)
    options = launcher_options(name, folder, 2)
    before_cluster = [option for option in options if "workers" not in option]
    with cluster_of(name, folder) if outlives else no_cluster() as address:
        if address:
            options = [*before_cluster, "-o", f"launcher.address={address}"]
        launching = suite(folder, "results", options)
        worker = wait_for_checkpoint(folder, launching)
        os.kill(worker, signal.SIGKILL)
        time.sleep(generator.uniform(0.0, 8.0))
        launching.kill()
        launching.communicate()
        attached = 0
        if address or name == "slurm":
            text = run_to_the_end(suite(folder, "results", [*options, "--attach"]), codes=(0, 6))
            attached = text.count(": finished in")
        run_to_the_end(suite(folder, "results", options))
    refuse_differences(serial, numbers_of(folder / "results"))
    refuse_left_processes(folder)
    records = [read_record(path) for path in (folder / "results").glob("*.json")]
    resumed = sum(record.measurement is not None and record.measurement.pieces > 1 for record in records)
    if not resumed:
        sys.exit(f"{name}: no cell went on from a checkpoint")
    return resumed, attached


@contextmanager
def no_cluster() -> Iterator[str]:
    """The launcher starts a cluster of its own."""
    yield ""


@contextmanager
def cluster_of(name: str, folder: Path) -> Iterator[str]:
    """A cluster that outlives the launcher: its address; '' where the queue itself does."""
    if name == "dask":
        from distributed import LocalCluster

        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster:
            yield cluster.scheduler_address
    elif name == "ray":
        ray = [sys.executable, "-m", "ray.scripts.scripts"]
        start = [*ray, "start", "--head", "--port=6399", "--num-cpus=2", "--include-dashboard=false"]
        subprocess.run(start, check=True, capture_output=True, cwd=folder)
        try:
            yield "127.0.0.1:6399"
        finally:
            for pid in marked(folder):  # 'ray stop' would end other people's clusters too
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
    else:
        yield ""


def wait_for_checkpoint(folder: Path, launching: subprocess.Popen[str]) -> int:
    """Wait until a cell has a checkpoint; the number of the process that waits for its end."""
    end = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < end:
        for pid in marked(folder):
            with suppress(OSError):
                if CELL.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    continue
                place = Path(f"/proc/{pid}/cwd").readlink()
                if any(place.glob("results/*/checkpoint-[12].json")):
                    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if launching.poll() is not None:
            sys.exit(f"the suite ended before it could be disturbed:\n{launching.communicate()[0]}")
        time.sleep(0.1)
    sys.exit("no cell wrote a checkpoint")


def write_suite(folder: Path, seeds: int, iterations: int) -> None:
    """Write the suite file."""
    (folder / "study.toml").write_text(SUITE.format(seeds=seeds, iterations=iterations))


def launcher_options(name: str, folder: Path, workers: int) -> list[str]:
    """The command's options for a launcher."""
    options = [option.format(workers=workers, folder=folder) for option in OPTIONS[name]]
    return ["--launcher", name, *(part for option in options for part in ("-o", option))]


def suite(folder: Path, results: str, options: Sequence[str]) -> subprocess.Popen[str]:
    """Start the command."""
    command = [sys.executable, "-m", "mamlbench.cli", "suite", "study.toml", "--results-dir", results, *options]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def run_to_the_end(process: subprocess.Popen[str], codes: Sequence[int] = (0,)) -> str:
    """Wait for the command; what it printed."""
    text, _ = process.communicate(timeout=LONGEST_SECONDS)
    if process.returncode not in codes:
        sys.exit(f"the suite ended with exit code {process.returncode}:\n{text}")
    return text


def marked(folder: Path) -> list[int]:
    """The processes of a try, by the variable that they inherited; not this one."""
    mark, numbers = f"{MARK}={folder}".encode(), []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environment.read_bytes().split(b"\0") and int(environment.parent.name) != os.getpid():
                numbers.append(int(environment.parent.name))
    return numbers


def refuse_left_processes(folder: Path) -> None:
    """Exit if a process of the try does not end by itself."""
    end = time.monotonic() + END_SECONDS
    while (left := marked(folder)) and time.monotonic() < end:
        time.sleep(0.5)
    if left:
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in left]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        sys.exit("processes are left:\n" + "\n".join(lines))


def refuse_differences(expected: dict[str, Any], numbers: dict[str, Any]) -> None:
    """Exit if a record is missing, is there twice, or differs."""
    different = [name for name in expected | numbers if expected.get(name) != numbers.get(name)]
    if different:
        missing, extra = sorted(expected.keys() - numbers.keys()), sorted(numbers.keys() - expected.keys())
        sys.exit(
            f"{len(different)} records differ or are missing: {different}; missing {missing}; not expected {extra}"
        )


def numbers_of(folder: Path) -> dict[str, Any]:
    """Everything but times, by the name of the record."""
    return {path.stem: without_times(read_record(path), folder) for path in folder.glob("*.json")}


def without_times(record: RunRecord, folder: Path) -> tuple[Any, ...]:
    """What must be equal, whatever process ran it."""
    curve = [(point.iteration, point.loss, point.validation) for point in record.curve]
    content = record.model_dump(mode="json", exclude={"measurement", "started", "engine", "curve", "sha256", "files"})
    assert record.model is not None
    return content, curve, (folder / record.model).with_suffix(".safetensors").read_bytes()


if __name__ == "__main__":
    main()
