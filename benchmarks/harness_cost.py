"""Cost of the harness itself: its training loop against a bare loop around the same step, in interleaved rounds.

    python benchmarks/harness_cost.py [--data-dir DIR] [--rounds 40] [--iterations 10]

Both sides draw the same episodes and take the same steps from the same parameters. The bare loop has nothing else;
the harness adds its meter, its listeners and its progress display. Also printed: the share of sampling.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import scipy.stats

from mamlbench.engine import keep_memory
from mamlbench.plugin import load_plugins
from mamlbench.progress.display import ProgressDisplay
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.checkpointer import Checkpointer
from mamlbench.runner.checkpoints import clone
from mamlbench.runner.meter import Meter
from mamlbench.runner.plan import plan
from mamlbench.runner.train import TrainingLoop
from mamlbench.user_config import cache_folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", default="fomaml")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--iterations", type=int, default=10)
    arguments = parser.parse_args()

    keep_memory()
    plugins = load_plugins()
    plugins.manager.register(ProgressDisplay())
    data = () if arguments.data_dir is None else (("--data-dir", arguments.data_dir),)
    dataset = "glyphs" if arguments.data_dir is None else "omniglot"
    (spec,) = plan(RunRequest(algorithms=(arguments.algo,), dataset=dataset), plugins)
    folders = Folders(data=data, cache=cache_folder())
    experiment = build_experiment(spec, plugins, load_dataset(spec, plugins, folders))
    start = clone(experiment.algorithm.state())

    def emit(hook: str, **values: object) -> None:
        list(plugins.notify(hook, spec=spec, **values))

    def bare() -> float:
        began = time.perf_counter()
        for number in range(arguments.iterations):
            experiment.algorithm.apply(experiment.compute_update(number, experiment.training_batch(number)))
        return time.perf_counter() - began

    def harness(loop: TrainingLoop) -> float:
        began = time.perf_counter()
        while loop.progress.iteration < arguments.iterations:
            loop._train_until(min(loop._next_stop(), arguments.iterations))
        return time.perf_counter() - began

    ratios, sampling = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds + 1):
            meter = Meter(experiment.device)
            loop = TrainingLoop(experiment, meter, emit, Checkpointer(Path(folder), meter))
            seconds = {}
            sides = {"bare": bare, "harness": lambda loop=loop: harness(loop)}
            for side in sorted(sides, reverse=number % 2 == 1):  # each goes first in every other round
                experiment.algorithm.load_state(start)
                seconds[side] = sides[side]()
            if number:  # the first round warms up
                ratios.append(seconds["harness"] / seconds["bare"])
                sampling.append(loop.meter.wall["data"] / seconds["harness"])
    interval = scipy.stats.bootstrap((ratios,), statistics.median, vectorized=False, rng=0).confidence_interval
    print(f"\n{arguments.algo} on {dataset}, {arguments.rounds} rounds of {arguments.iterations} iterations")
    print(
        f"harness / bare loop: median {statistics.median(ratios):.4f} (95 %: {interval.low:.4f} to {interval.high:.4f})"
    )
    print(f"sampling: median {statistics.median(sampling):.2%} of the harness's time")


if __name__ == "__main__":
    main()
