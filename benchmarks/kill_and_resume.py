"""Kill runs at random moments by SIGKILL, continue each, and compare it bit for bit with one that was never stopped.

    python benchmarks/kill_and_resume.py [--kills 100] [--seed 0] [--iterations 12] [--folder DIR]

Every other kill comes at a moment of the whole run, the others within a stage that is chosen by chance: training,
validation, the writing of a checkpoint, or the test. Each is counted by what the run was doing. A killed run is killed
again with a chance of one half. Exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mamlbench.api import Job
from mamlbench.plugin import load_plugins
from mamlbench.record import RunRecord, read_record
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner import train
from mamlbench.runner.build import Experiment
from mamlbench.runner.execute import perform
from mamlbench.runner.plan import plan
from mamlbench.user_config import cache_folder

STAGES = (
    (Experiment, "training_batch", "training"),
    (Experiment, "compute_update", "training"),
    (train.TrainingLoop, "_select", "validation"),
    (train.TrainingLoop, "_write_checkpoint", "checkpoint"),
    (train.TrainingLoop, "_test", "test"),
    (train.TrainingLoop, "_save_samples", "test"),
)
TARGETS = ("training", "validation", "checkpoint", "test")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--algo", default="maml")
    parser.add_argument("--folder", type=Path, help="where results go; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        print_counts(*kill_many(arguments, folder))


def kill_many(arguments: argparse.Namespace, folder: Path) -> tuple[Counter[str], int, float]:
    """Kill until there were enough; return the kills by stage, the runs, and the seconds of an uninterrupted run."""
    generator = random.Random(arguments.seed)
    job = make_job(arguments, folder / "whole")
    torch.set_num_threads(1)
    run_here(job)  # caches, and the network's first build
    shutil.rmtree(folder / "whole")
    started = time.perf_counter()
    whole = run_here(job)
    seconds = time.perf_counter() - started
    expected = numbers(whole, folder / "whole")
    stages: Counter[str] = Counter()
    runs = 0
    while stages.total() < arguments.kills:
        results = folder / f"run-{runs}"
        cut = job.model_copy(update={"folders": job.folders.model_copy(update={"results": results}), "resume": ""})
        while (stage := killed_once(cut, moment(generator, seconds, stages.total()))) is not None:
            stages[stage] += 1
            if generator.random() < 0.5:
                break
        record = run_here(cut)
        runs += 1
        if numbers(record, results) != expected:
            sys.exit(f"run {runs} in '{results}' differs from the uninterrupted one in '{folder / 'whole'}'")
        if left := [path.name for path in results.iterdir() if path.name.startswith(".")]:
            sys.exit(f"'{results}' holds files that should be gone: {', '.join(left)}")
        shutil.rmtree(results)
        print(f"\r{stages.total()} kills in {runs} runs", end="", flush=True)
    return stages, runs, seconds


def make_job(arguments: argparse.Namespace, results: Path) -> Job:
    """A run of a second or two, with a checkpoint after every iteration."""
    request = RunRequest(
        algorithms=(arguments.algo,),
        iterations=arguments.iterations,
        validate_every=5,
        meta_batch_size=4,
        validation_episodes=20,
        test_episodes=60,
        checkpoint_seconds=0,
        engine="vmap",
        options={"backbone.width": 8},
    )
    (spec,) = plan(request, load_plugins())
    return Job(spec=spec, folders=Folders(results=results, cache=cache_folder()))


def run_here(job: Job) -> RunRecord:
    """Run to the end in this process."""
    return perform(job)


@dataclass
class Moment:
    """When a run is killed: so many seconds after its start, or after it has entered a stage so many times."""

    seconds: float
    stage: str | None = None
    entries: int = 0

    def wait(self, reading: int) -> list[str]:
        """Wait for the moment, or for the end of the run; return the stages so far."""
        stages: list[str] = []
        with os.fdopen(reading, "rb", buffering=0, closefd=False) as stream:  # nothing is read ahead
            while self.stage and stages.count(self.stage) < self.entries and (line := stream.readline()):
                stages.append(line.decode().strip())
        time.sleep(self.seconds)
        return stages


def moment(generator: random.Random, seconds: float, number: int) -> Moment:
    """Choose the moment of a kill."""
    if number % 2 == 0:
        return Moment(generator.uniform(0, 1.1 * seconds))
    return Moment(generator.uniform(0, 0.02), generator.choice(TARGETS), generator.randint(1, 4))


def killed_once(job: Job, moment: Moment) -> str | None:
    """Run in a process of its own, kill it at that moment; return what it was doing, None if it had ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            note_stages(writing)
            perform(job)
        finally:
            os._exit(0)
    os.close(writing)
    stages = moment.wait(reading)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as stream:
        stages += stream.read().splitlines()
    return (stages or ["start"])[-1] if os.WIFSIGNALED(status) else None


def note_stages(descriptor: int) -> None:
    """Write a line whenever the run begins or ends something."""
    open_stages = ["building"]

    def noted(function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            open_stages.append(stage)
            os.write(descriptor, f"{stage}\n".encode())
            try:
                return function(*arguments, **named)
            finally:
                open_stages.pop()
                os.write(descriptor, f"{open_stages[-1]}\n".encode())

        return run

    os.write(descriptor, b"building\n")
    for owner, name, stage in STAGES:
        setattr(owner, name, noted(getattr(owner, name), stage))


def numbers(record: RunRecord, folder: Path) -> tuple[Any, ...]:
    """Everything but times: the test's scores, the curve, the parameters."""
    again = read_record(folder / f"{record.name}.json")
    assert again == record and record.model is not None
    curve = [(point.iteration, point.loss, point.validation) for point in record.curve]
    content = record.model_dump(mode="json", exclude={"measurement", "started", "engine", "curve", "notices"})
    return content, curve, (folder / record.model).with_suffix(".safetensors").read_bytes()


def print_counts(stages: Counter[str], runs: int, seconds: float) -> None:
    """Print what was killed."""
    print(
        f"\r{stages.total()} kills in {runs} runs of {seconds:.1f} s: every run ended in the same numbers, bit for bit"
    )
    for stage, count in stages.most_common():
        print(f"  {count:4d} in {stage}")
    print(f"torch {torch.__version__}, NumPy {np.__version__}, 1 thread")


if __name__ == "__main__":
    main()
