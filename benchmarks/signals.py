"""Sends signals to whole commands at random moments, and looks at what they leave behind.

Every trial starts a real process with empty results, cache and temporary folders, sends it a signal at a moment of its
life that is drawn at random, and waits for its end. Phases (start-up, data, engines, training, validation, test,
writing) are drawn with equal chance, then a moment within the phase, since most of the time is start-up.

It counts as survived if the exit code is 2 (0 if all work was done before the signal; killed by the signal itself, or
1, if Python had not reached the program's first line), every run that had begun has a record, no process of the
session runs, and no temporary file or folder is left. After a second signal, or SIGKILL of a parent, a run may be
without a record.

    python benchmarks/signals.py --trials 100 --output signals.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

TINY = [
    part
    for name, value in {"iterations": 16, "test-episodes": 100, "validation-episodes": 20, "validate-every": 8}.items()
    for part in (f"--{name}", str(value))
] + ["--meta-batch-size", "4", "-o", "backbone.width=4"]
ARGUMENTS = {
    "run": ["run", "--algo", "maml", *TINY],
    "workers": ["run", "--algo", "fomaml", "--seeds", "2", *TINY, "-o", "launcher.max_parallel=2"],
    "suite": ["suite", "study.toml"],
}
"""The commands by name; the first is one process, the others start workers."""
SUITE = """
algorithm = ["fomaml", "maml"]
iterations = 20
test_episodes = 50
validation_episodes = 20
meta_batch_size = 4
options.backbone.width = 4
"""
LISTENER = """
import multiprocessing, os, time
import mamlbench

def note(phase):
    with open(os.environ["PHASES"], "a") as file:
        file.write(f"{time.monotonic()} {phase}\\n")

if multiprocessing.parent_process() is None:
    note("start-up")

@mamlbench.hookimpl
def mamlbench_run_started(): note("data")

@mamlbench.hookimpl
def mamlbench_preparing(done, total): note("data")

@mamlbench.hookimpl
def mamlbench_trying_engine(): note("engines")

@mamlbench.hookimpl
def mamlbench_progress(): note("training")

@mamlbench.hookimpl
def mamlbench_evaluated(split): note("after validation" if split == "val" else "writing")

@mamlbench.hookimpl
def mamlbench_run_finished(): note("after the run")
"""
SCENARIOS = ("SIGINT", "SIGTERM", "SIGINT twice", "SIGTERM twice", "SIGKILL of the parent")
SECOND_AFTER = 0.3
"""Seconds between two signals."""
PATIENCE = 90.0
"""Seconds after which a process that has not ended counts as hanging."""


@dataclass
class Trial:
    """What one signal did."""

    command: str
    scenario: str
    to_group: bool
    phase: str
    share: float
    code: int | None
    seconds: float
    begun: int
    recorded: int
    interrupted: int
    processes: int
    temporary: list[str]
    stderr: str
    problems: list[str]


@dataclass(frozen=True)
class Span:
    """A phase of a command's life, after so many notes of the listener."""

    phase: str
    notes_before: int
    seconds: float


class Trials:
    """Trials of one command in one folder.

    Args:
        command: a name of ``ARGUMENTS``.
        folder: an empty folder.
        kernels: folder of compiled kernels, shared by all trials.
    """

    def __init__(self, command: str, folder: Path, kernels: Path) -> None:
        self.command = command
        self.folder = folder
        self.kernels = kernels
        self.count = 0

    def start(self) -> tuple[Path, subprocess.Popen[bytes]]:
        """Start the command in a new folder and a new session; Ctrl-C is not ignored in it."""
        self.count += 1
        folder = self.folder / str(self.count)
        for name in ("cache", "temporary"):
            (folder / name).mkdir(parents=True)
        (folder / "phases.py").write_text(LISTENER)
        (folder / "mamlbench.toml").write_text('plugins = ["phases.py"]\n')
        (folder / "study.toml").write_text(SUITE)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mamlbench.cli", *ARGUMENTS[self.command]],
            cwd=folder,
            stdout=(folder / "stdout").open("wb"),
            stderr=(folder / "stderr").open("wb"),
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (there is no thread)
            env=os.environ
            | {
                "MAMLBENCH_CACHE": str(folder / "cache"),
                "MAMLBENCH_KERNELS": str(self.kernels),
                "TMPDIR": str(folder / "temporary"),
                "PHASES": str(folder / "phases"),
            },
        )
        return folder, process

    def timeline(self) -> list[Span]:
        """Run the command to its end; return its phases, each between two notes of the listener."""
        begin = time.monotonic()
        folder, process = self.start()
        if process.wait() != 0:
            raise RuntimeError((folder / "stderr").read_text())
        notes = [("start-up", begin), *_phases(folder), ("", time.monotonic())]
        spans = [
            Span(phase, notes_before, until - at)
            for notes_before, ((phase, at), (_, until)) in enumerate(pairwise(notes))
        ]
        return [span for span in spans if span.seconds > 0]

    def trial(self, scenario: str, span: Span, share: float, *, to_group: bool) -> Trial:
        """Send the signals of one scenario after this share of a phase, and look at what is left."""
        name, _, how = scenario.partition(" ")
        number = signal.Signals[name]
        folder, process = self.start()
        while process.poll() is None and len(_phases(folder)) < span.notes_before:
            time.sleep(0.005)  # the machine may be slower than in the timeline
        time.sleep(share * span.seconds)
        phase = (["start-up"] + [phase for phase, _ in _phases(folder)])[-1]
        sent = time.monotonic()
        for delay in (0.0, SECOND_AFTER)[: 2 if how == "twice" else 1]:
            time.sleep(delay)
            _send(process, number, to_group=to_group)
        left = _wait(process, sent + PATIENCE)
        seconds = time.monotonic() - sent
        statuses = [json.loads(path.read_text())["status"] for path in folder.glob("results/*.json")]
        trial = Trial(
            self.command,
            scenario,
            to_group,
            phase,
            share,
            process.poll(),
            seconds,
            sum(path.is_dir() for path in folder.glob("results/*")),
            len(statuses),
            statuses.count("interrupted"),
            left,
            _temporary(folder),
            (folder / "stderr").read_text(errors="replace")[-2000:],
            [],
        )
        trial.problems = list(_problems(trial, (folder / "phases").exists(), set(statuses)))
        return trial


def _phases(folder: Path) -> list[tuple[str, float]]:
    path = folder / "phases"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.partition(" ")[2], float(line.partition(" ")[0])) for line in lines if " " in line]


def _send(process: subprocess.Popen[bytes], number: signal.Signals, *, to_group: bool) -> None:
    if process.poll() is None:
        (os.killpg if to_group else os.kill)(process.pid, number)


def _wait(process: subprocess.Popen[bytes], until: float) -> int:
    """Wait until no process of the session runs; kill what does at that time, and return how many these were."""
    while time.monotonic() < until:
        if process.poll() is not None and not _session(process.pid):
            return 0
        time.sleep(0.02)
    left = _session(process.pid)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    return len(left)


def _session(leader: int) -> list[int]:
    """The processes of a session, its zombies left out."""
    running = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, *rest = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(rest[2]) == leader and state != "Z":
            running.append(int(path.parent.name))
    return running


def _temporary(folder: Path) -> list[str]:
    """Temporary files and folders that are left."""
    left = [path for name in ("results", "cache") for path in (folder / name).rglob("*.tmp")]
    left += [path for path in (folder / "temporary").iterdir() if path.name not in IGNORED]
    return sorted(str(path.relative_to(folder)) for path in left)


IGNORED = {"torchinductor_root"}
"""What torch keeps in the temporary folder on purpose: its cache of compiled code."""


def _problems(trial: Trial, started: bool, statuses: set[str]) -> Iterator[str]:
    """What must not be, in one phrase each."""
    if trial.processes:
        yield f"{trial.processes} processes left"
    if trial.temporary:
        yield f"temporary files left: {', '.join(trial.temporary)}"
    if "Traceback" in trial.stderr and started:
        yield "a traceback"
    if trial.scenario.startswith("SIGKILL"):
        return
    number = signal.Signals[trial.scenario.partition(" ")[0]]
    before_main = not started and "mamlbench" not in trial.stderr  # Python itself ends by the signal, or with 1
    if trial.code not in {2, 0} and not (trial.code in {-number, 1} and before_main):
        yield f"exit code {trial.code}"
    if trial.code == 0 and statuses != {"finished"}:
        yield f"exit code 0 with records {statuses}"
    if "twice" not in trial.scenario and trial.recorded != trial.begun:
        yield f"{trial.begun} runs begun, {trial.recorded} records"
    if statuses - {"finished", "interrupted"}:
        yield f"records {statuses}"


def main() -> int:
    """Run the trials; the exit code is 0 if every signal was survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100, help="trials of each scenario and command")
    parser.add_argument("--command", nargs="*", default=list(ARGUMENTS), choices=list(ARGUMENTS))
    parser.add_argument("--scenario", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kernels", type=Path, help="folder to keep compiled kernels in")
    parser.add_argument("--output", type=Path, help="write every trial as JSON")
    parser.add_argument("--read", nargs="*", type=Path, help="sum up these outputs instead of running anything")
    arguments = parser.parse_args()
    if arguments.read:
        trials = [Trial(**trial) for path in arguments.read for trial in json.loads(path.read_text())]
    else:
        trials = list(_run(arguments))
    for command, scenario in dict.fromkeys((trial.command, trial.scenario) for trial in trials):
        _show([trial for trial in trials if (trial.command, trial.scenario) == (command, scenario)])
    return int(any(trial.problems for trial in trials))


def _run(arguments: argparse.Namespace) -> Iterator[Trial]:
    """Run and yield the trials; those with a problem are printed at once."""
    chance, done = random.Random(arguments.seed), []
    with tempfile.TemporaryDirectory() as name:
        for command in arguments.command:
            series = Trials(command, Path(name) / command, arguments.kernels or Path(name) / "kernels")
            series.timeline()  # compiles the kernels, if they are not there yet
            spans = series.timeline()
            for scenario in arguments.scenario:
                if scenario.startswith("SIGKILL") and command == "run":
                    continue  # there is no worker
                for number in range(arguments.trials):
                    phase = chance.choice(sorted({span.phase for span in spans}))
                    span = chance.choice([span for span in spans if span.phase == phase])
                    group = command != "run" and number % 2 == 1 and not scenario.startswith("SIGKILL")
                    trial = series.trial(scenario, span, chance.random(), to_group=group)
                    if trial.problems:
                        print(trial, flush=True)
                    done.append(asdict(trial))
                    if arguments.output:
                        arguments.output.write_text(json.dumps(done, indent=1))
                    yield trial


def _show(trials: list[Trial]) -> None:
    """Print one line on the trials of one scenario."""
    seconds = [trial.seconds for trial in trials]
    phases = ", ".join(f"{phase} {count}" for phase, count in Counter(trial.phase for trial in trials).most_common())
    print(
        f"{trials[0].command}, {trials[0].scenario}: {len(trials)} trials, "
        f"{sum(not trial.problems for trial in trials)} survived; exit codes "
        f"{dict(Counter(trial.code for trial in trials))}; ended after {statistics.median(seconds):.1f} s (median), "
        f"{max(seconds):.1f} s at most; in {phases}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
