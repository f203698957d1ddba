"""Time and memory that data takes: sampling, first and second preparation, memory while training.

    python benchmarks/data_costs.py --data-dir DIR [--part sampling|preparation|memory ...] [--json FILE]

``sampling``: an Omniglot meta-batch of 32 tasks, 5-way 1-shot, 15 queries per class: mamlbench against learn2learn's
own task set (``omniglot_tasksets``) on the same drawings, in interleaved rounds; mamlbench alone if learn2learn is not
installed.
``preparation``: miniImageNet into an empty cache, and once more from it, each in a process of its own.
``memory``: peak resident size (VmHWM) of a training run on miniImageNet from the map, each in a process of its own.

Every part prints the bar that it must reach, and whether it did. Exit code 1 if one did not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mamlbench.api import DataPaths
from mamlbench_plugins.datasets.omniglot import Omniglot

TASKS, WAYS, SHOTS, QUERIES = 32, 5, 1, 15
HALVES = ("images_background", "images_evaluation")
BARS = {"times as fast": 100.0, "first preparation, s": 60.0, "second start, s": 1.0, "resident, GB": 1.5}
PARTS = ("sampling", "preparation", "memory")


def main() -> int:
    """Measure and print. Return 0 if every bar was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--algo", action="append", help="of the memory part; default: fomaml and maml")
    parser.add_argument("--iterations", type=int, default=20, help="of the memory part")
    parser.add_argument("--episodes", type=int, default=100, help="test and validation episodes of the memory part")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    results: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory(prefix="data-costs-") as folder:
        for part in arguments.part or PARTS:
            results |= globals()[f"measure_{part}"](arguments, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    return 0 if all(value for name, value in results.items() if name.endswith(" reached")) else 1


def judged(name: str, value: float, *, least: bool = False) -> dict[str, Any]:
    """Print a value beside its bar."""
    bar = BARS[name]
    reached = value >= bar if least else value < bar
    print(f"  {name}: {value:.3g} (bar: {'at least' if least else 'under'} {bar:g}, {'ok' if reached else 'MISSED'})")
    return {name: value, f"{name} reached": reached}


# ----------------------------------------------------------------------------------------------------- sampling


def measure_sampling(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds to have one meta-batch as tensors."""
    paths = DataPaths((("--data-dir", arguments.data_dir),), folder / "cache", allow_download=False)
    pool = Omniglot(Omniglot.Options(), paths).splits["train"]

    def mamlbench_batch(number: int) -> tuple[int, ...]:
        keys = np.arange(number * TASKS, (number + 1) * TASKS, dtype=np.uint64)
        batch = pool.episodes(keys, WAYS, SHOTS, QUERIES)
        return (*batch.support.x.shape, *batch.query.x.shape[1:2])

    load_theirs = learn2learn_batch(arguments.data_dir, folder)
    times: dict[str, list[float]] = {"mamlbench": [], "learn2learn": []}
    for number in range(arguments.rounds + 1):
        for name, sample in (("mamlbench", mamlbench_batch), ("learn2learn", load_theirs)):
            if sample is not None:
                began = time.perf_counter()
                sample(number)
                if number:  # the first round warms up
                    times[name].append(time.perf_counter() - began)
    print(f"Sampling {TASKS} Omniglot tasks, {WAYS}-way {SHOTS}-shot, {QUERIES} queries per class")
    for name, seconds in times.items():
        if seconds:
            low, high = 1e3 * min(seconds), 1e3 * max(seconds)
            print(f"  {name}: median {1e3 * statistics.median(seconds):.1f} ms ({low:.1f} to {high:.1f})")
    results: dict[str, Any] = {"sampling seconds": times}
    if not times["learn2learn"]:
        print("  learn2learn is not installed: nothing to compare with")
        return results
    ratios = [theirs / own for own, theirs in zip(times["mamlbench"], times["learn2learn"], strict=True)]
    print(f"  rounds: {', '.join(f'{ratio:.0f}' for ratio in ratios)} times as fast")
    return results | judged("times as fast", statistics.median(ratios), least=True)


def learn2learn_batch(data: Path, folder: Path) -> Callable[[int], object] | None:
    """A function that loads one meta-batch as learn2learn does; None if it is not installed."""
    try:
        import learn2learn as l2l
        from torchvision.datasets import Omniglot as Published
    except ImportError:
        return None
    for half in HALVES:
        archive = next(path for place in (data, data / "omniglot") if (path := place / f"{half}.zip").is_file())
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder / Published.folder)
    # The archives may have been packed again: their content counts, not their own checksum.
    Published._check_integrity = lambda self: True  # type: ignore[method-assign]
    print("learn2learn lists its task set (it decodes every drawing once) ...", file=sys.stderr)
    tasks = l2l.vision.benchmarks.get_tasksets(
        "omniglot",
        train_ways=WAYS,
        train_samples=SHOTS + QUERIES,
        test_ways=WAYS,
        test_samples=SHOTS + QUERIES,
        root=folder,
    ).train
    return lambda number: [tasks.sample() for _ in range(TASKS)]


# -------------------------------------------------------------------------------------------------- preparation


def measure_preparation(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds until the set can be used: with an empty cache, and with a full one."""
    print(f"Preparing miniImageNet on {os.cpu_count()} processors")
    results: dict[str, Any] = {}
    for name in ("first preparation, s", "second start, s"):
        began = time.perf_counter()
        out = command(folder / "prepared", "data", "prepare", "miniimagenet", "--data-dir", str(arguments.data_dir))
        whole = time.perf_counter() - began
        results |= judged(name, json.loads(out)["seconds"])
        results[f"{name}, whole command"] = whole
        print(f"    whole command, with the start of Python and torch: {whole:.1f} s")
    return results


# ------------------------------------------------------------------------------------------------------- memory


def measure_memory(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Peak resident size of default runs, shorter than usual; the map is prepared before."""
    command(folder / "prepared", "data", "prepare", "miniimagenet", "--data-dir", str(arguments.data_dir))
    results: dict[str, Any] = {}
    worst = 0.0
    for algorithm in arguments.algo or ("fomaml", "maml"):
        run = ("run", "--algo", algorithm, "--dataset", "miniimagenet", "--data-dir", str(arguments.data_dir), "-q")
        iterations, episodes = str(arguments.iterations), str(arguments.episodes)
        sizes = ("--iterations", iterations, "--test-episodes", episodes, "--validation-episodes", episodes)
        out = command(folder / "prepared", *run, *sizes, "--results-dir", str(folder / "results"))
        (record,) = json.loads(out)
        gigabytes = record["measurement"]["peak_memory_bytes"] / 1e9
        print(f"{algorithm}, {record['engine']['name']}, {record['status']}: peak {gigabytes:.2f} GB resident")
        results[f"{algorithm} resident, GB"] = gigabytes
        worst = max(worst, gigabytes)
    return results | judged("resident, GB", worst)


def command(cache: Path, *arguments: str) -> str:
    """What ``mamlbench ... --json`` prints, from a process of its own with this cache folder."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mamlbench.cli", *arguments, "--json"],
        env={**os.environ, "MAMLBENCH_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"mamlbench {' '.join(arguments)} ended with {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
