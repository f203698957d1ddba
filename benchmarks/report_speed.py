"""How long ``mamlbench report`` and ``mamlbench compare`` take on many records, each in a process of its own.

    python benchmarks/report_speed.py [--records 10000] [--episodes 100]

Records are synthetic: three algorithms by rates, widths, ways and shots, with three seeds each and curves of eight
points, written to a temporary folder. Reading is counted; making them is not. On a busy machine believe the CPU time.
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
    ModeResult,
    RunRecord,
    Segment,
)
from mamlbench.spec import Component, Protocol, RunSpec, Training

SEEDS = 3
ENVIRONMENT = Environment(
    python="3.11.7", platform="Linux x86_64", cpu="CPU", cores=2, threads=2, packages={"torch": "2.14.1"},
    code_hash="0123456789abcdef",
)  # fmt: skip
DATA = DataFacts(
    content_hash="data", split_hashes={"test": "split"}, split_sizes={}, licence="MIT", publishable=True
)  # fmt: skip


def specs(episodes: int) -> Iterator[RunSpec]:
    """Specs without end: rates grow when everything else is through."""
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
                training=Training(iterations=500, meta_batch=32, shots=shots, queries=1, validate_every=63),
                preset="quick",
                seed=seed,
            )


def record(spec: RunSpec, generator: np.random.Generator) -> RunRecord:
    """A finished run of ``spec``."""
    scores = (generator.binomial(5, 0.8, spec.protocol.test_episodes) / 5).tolist()
    interval = Interval(mean=float(np.mean(scores)), low=0.7, high=0.9)
    result = ModeResult(
        score=interval, untrained=interval, gain=interval, episode_scores=scores, untrained_episode_scores=scores
    )
    test = Evaluation(
        split="test", protocol=spec.protocol, adaptation_steps=3, metric="accuracy", unit="%", higher_is_better=True,
        modes=dict.fromkeys(spec.protocol.modes, result), score_after_step=[0.2, 0.8], steps_reported=[0, 1],
    )  # fmt: skip
    measured = Measurement(
        segments={name: Segment(wall=1.0, device=2.0) for name in ("data", "train", "evaluate", "checkpoint", "other")},
        warmup=Segment(), wall_seconds=100.0, device_seconds=200.0 + generator.normal(), device_clock="cpu",
        peak_memory_bytes=2**29, iterations=500, iterations_per_second=4.0, examples_seen=80_000,
    )  # fmt: skip
    curve = [CurvePoint(iteration=i, wall_seconds=i, device_seconds=i, loss=0.5, validation=0.8) for i in range(8)]
    return RunRecord(
        spec=spec, spec_hash=spec.hash, fingerprint="f", attempt=1, status="finished", started="2026-01-01T00:00:00",
        environment=ENVIRONMENT, data=DATA, measurement=measured, curve=curve, test=test,
    )  # fmt: skip


def main() -> None:
    """Write, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=100)
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        size = 0
        for number, spec in zip(range(given.records), specs(given.episodes), strict=False):
            size += Path(folder, f"{number:06}.json").write_text(record(spec, generator).model_dump_json())
        print(f"{given.records:,} records of {given.episodes} episodes, {size / 1e6:.0f} MB")
        commands = {
            "report --format csv": ("report", folder, "--format", "csv"),
            "report": ("report", folder),
            "compare": ("compare", folder, folder, "--fail", "accuracy:-1pp"),
        }
        for name, arguments in commands.items():
            start, before = time.perf_counter(), os.times()
            done = subprocess.run([sys.executable, "-m", "mamlbench.cli", *arguments], capture_output=True, check=False)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            print(f"{name:20} {time.perf_counter() - start:6.2f} s (CPU {cpu:.2f} s), exit code {done.returncode}")


if __name__ == "__main__":
    main()
