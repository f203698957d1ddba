"""Time of ``mamlbench report`` and ``mamlbench compare`` on many records, each in a process of its own.

    python benchmarks/report_speed.py [--records 10000] [--page-records 1000] [--episodes 100] [--points 8]
                                      [--rounds 1] [--base FOLDER]

With ``--base``, a checkout of another version, every command is timed with its code too, in turns with this one's.
The bars: a table of 10,000 records in 5 s, a page of 1,000 in 10 s and 5 MB, on two cores.

Records are synthetic: three algorithms by rates, widths, ways and shots, with three seeds each and curves of
``--points`` points, written to a temporary folder. Reading is counted; making them is not. On a busy machine read the
CPU time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

import numpy as np

from mamlbench.record import (
    CurvePoint,
    DataFacts,
    Environment,
    Evaluation,
    Interval,
    Measurement,
    MetricResult,
    ModeResult,
    RunRecord,
    Segment,
    make_record,
)
from mamlbench.run_spec import Component, Protocol, RunSpec, Training

ROOT = Path(__file__).parents[1]
SEEDS = 3
ENVIRONMENT = Environment(
    python="3.11.7",
    platform="Linux x86_64",
    cpu="CPU",
    cores=2,
    threads=2,
    packages={"torch": "2.14.1"},
    code_hash="0123456789abcdef",
)
DATA = DataFacts(content_hash="data", split_hashes={"test": "split"}, split_sizes={}, license="MIT", publishable=True)


def specs(episodes: int) -> Iterator[RunSpec]:
    """Specs without end: rates grow after all other combinations."""
    grid = product(("maml", "fomaml", "reptile"), (16, 32, 64), (5, 20), (1, 5), range(SEEDS))
    cells = list(grid)
    for step in count(1):
        for algorithm, width, ways, shots, seed in cells:
            yield RunSpec(
                algorithm=Component(name=algorithm, options={"inner_lr": step / 100}),
                dataset=Component(name="omniglot"),
                backbone=Component(name="conv4-strided", options={"width": width}),
                sampler=Component(name="fresh"),
                protocol=Protocol(ways=ways, shots=shots, test_episodes=episodes),
                training=Training(
                    iterations=500, meta_batch_size=32, ways=ways, shots=shots, queries=1, validate_every=63
                ),
                preset="quick",
                seed=seed,
            )


def record(spec: RunSpec, generator: np.random.Generator, points: int) -> RunRecord:
    """A finished run of ``spec`` with so many points on its curve."""
    scores = (generator.binomial(5, 0.8, spec.protocol.test_episodes) / 5).tolist()
    mean = float(np.mean(scores))
    score, gain = Interval(mean=mean, low=mean - 0.1, high=mean + 0.1), Interval(mean=0.0, low=-0.1, high=0.1)
    result = ModeResult(score=score, untrained=score, gain=gain, episode_scores=scores, untrained_episode_scores=scores)
    accuracy = MetricResult(
        unit="%",
        higher_is_better=True,
        modes=dict.fromkeys(spec.protocol.modes, result),
        score_after_step=[0.2, 0.8],
    )
    test = Evaluation(
        split="test",
        protocol=spec.protocol,
        adaptation_steps=3,
        metrics={"accuracy": accuracy},
        steps_reported=[0, 1],
    )
    measured = Measurement(
        segments={name: Segment(wall=1.0, device=2.0) for name in ("data", "train", "evaluate", "checkpoint", "other")},
        warmup=Segment(),
        wall_seconds=100.0,
        device_seconds=200.0 + generator.normal(),
        device_clock="cpu",
        peak_memory_bytes=2**29,
        iterations=500,
        iterations_per_second=4.0,
        examples_seen=80_000,
    )
    iterations = np.linspace(0, 500, points, dtype=int).tolist()
    rises = 0.8 - 0.6 * np.exp(-np.array(iterations) / 100) + generator.normal(0, 0.02, points)
    curve = [
        CurvePoint(
            iteration=i, wall_seconds=i / 5.1, device_seconds=i / 2.7, loss=0.5, validation={"accuracy": float(y)}
        )
        for i, y in zip(iterations, rises, strict=True)
    ]
    return make_record(
        spec,
        ENVIRONMENT,
        "finished",
        started="2026-01-01T00:00:00",
        data=DATA,
        measurement=measured,
        curve=curve,
        test=test,
    )


def main() -> None:
    """Write, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--page-records", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--points", type=int, default=8, help="validations of each run")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--base", type=Path, help="a checkout to compare with")
    arguments = parser.parse_args()
    trees = {"here": ROOT, **({"base": arguments.base.resolve()} if arguments.base else {})}
    with tempfile.TemporaryDirectory() as folder:
        many, few, page = Path(folder, "many"), Path(folder, "few"), Path(folder, "page.html")
        write(many, arguments.records, arguments.episodes, arguments.points)
        write(few, arguments.page_records, arguments.episodes, arguments.points)
        commands = {
            "report --format csv": ("report", str(many), "--format", "csv"),
            "report": ("report", str(many)),
            "report --format html": ("report", str(few), "--format", "html", "--output", str(page)),
            "compare": ("compare", str(many), str(many), "--fail", "accuracy:-1pp"),
        }
        for name, command in commands.items():
            for _, (side, tree) in product(range(arguments.rounds), trees.items()):
                wall, user, system, code = timed(tree, command, folder)
                timing = f"{wall:6.2f} s (CPU: user {user:.2f} s, system {system:.2f} s), exit code {code}"
                print(f"{name:20} {side:4} {timing}{about(page)}", flush=True)


def write(folder: Path, records: int, episodes: int, points: int) -> None:
    """Write so many records and print their size."""
    folder.mkdir()
    generator, size = np.random.default_rng(0), 0
    for number, spec in zip(range(records), specs(episodes), strict=False):
        size += Path(folder, f"{number:06}.json").write_text(record(spec, generator, points).model_dump_json())
    print(f"{records:,} records of {episodes} episodes, {size / 1e6:.0f} MB")


def timed(tree: Path, arguments: tuple[str, ...], folder: str) -> tuple[float, float, float, int]:
    """Run a command with the code of ``tree``: wall, user and system seconds, and the exit code."""
    environment = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'plugins'}"}
    start, before = time.perf_counter(), os.times()
    command = [sys.executable, "-P", "-m", "mamlbench.cli", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env=environment, cwd=folder)
    after, wall = os.times(), time.perf_counter() - start
    if done.returncode:  # a command that refuses its records is quick
        raise SystemExit(f"{' '.join(arguments)} failed ({done.returncode}): {done.stderr.decode()[-1000:]}")
    return (
        wall,
        after.children_user - before.children_user,
        after.children_system - before.children_system,
        done.returncode,
    )


def about(page: Path) -> str:
    """Size of the page that was written, if it was one; it is taken away."""
    if not page.exists():
        return ""
    size = page.stat().st_size
    page.unlink()
    return f", {size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
