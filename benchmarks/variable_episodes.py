"""What episodes of several sizes cost, beside episodes of one size that have as many classes and shots on average.

    python benchmarks/variable_episodes.py [--algo maml protonet] [--iterations 20] [--episodes 100] [--rounds 3]

Both sides train and test by turns in one process. The ratio is that of the medians of the rounds' CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.meter import Meter
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.scoring import score_episodes

SIZES = {"small": (("2..6", "1..5"), (4, 3)), "large": (("2..20", "1..9"), (11, 5))}
"""Ranges of ways and shots, and their means."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every method at every size, and print JSON."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = [_compare(algorithm, size, options, Path(folder)) for size in options.size for algorithm in options.algo]
    facts = {"load": round(os.getloadavg()[0], 2), "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({**facts, "rows": rows}, indent=1))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", nargs="+", default=["maml", "protonet"], help="default: maml protonet")
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES), help="default: all")
    parser.add_argument("--iterations", type=int, default=20, help="meta-iterations of a round; default: 20")
    parser.add_argument("--episodes", type=int, default=100, help="test episodes of a round; default: 100")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--meta-batch-size", type=int, default=4, help="default: 4")
    return parser.parse_args(arguments)


def _compare(algorithm: str, size: str, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    sides = [_build(algorithm, *shape, options, folder) for shape in SIZES[size]]
    seconds: dict[str, list[list[float]]] = {"train": [[], []], "test": [[], []]}
    for number in range(options.rounds + 1):  # the first round warms up
        for side, experiment in enumerate(sides):
            first = number * options.iterations
            train = _timed(lambda e=experiment, f=first: _train(e, range(f, f + options.iterations)))
            test = _timed(lambda e=experiment: _test(e))
            if number:
                seconds["train"][side].append(train)
                seconds["test"][side].append(test)
    medians = {name: [statistics.median(side) for side in both] for name, both in seconds.items()}
    return {
        "algorithm": algorithm,
        "sizes": size,
        **{f"{name}_seconds": [round(value, 2) for value in both] for name, both in medians.items()},
        **{f"{name}_ratio": round(both[0] / both[1], 2) for name, both in medians.items()},
    }


def _build(algorithm: str, ways: object, shots: object, options: argparse.Namespace, folder: Path) -> Experiment:
    request = make_request(
        algorithms=(algorithm,),
        ways=ways,
        shots=shots,
        queries=5,
        test_episodes=options.episodes,
        meta_batch_size=options.meta_batch_size,
        engine="vmap",
        device="cpu",
    )
    plugins = load_plugins()
    (spec,) = plan(request, plugins)
    return build_experiment(spec, plugins, load_dataset(spec, plugins, Folders(cache=folder)))


def _train(experiment: Experiment, iterations: range) -> None:
    for iteration in iterations:
        experiment.algorithm.apply(experiment.compute_update(iteration, experiment.training_batch(iteration)))


def _test(experiment: Experiment) -> None:
    protocol = experiment.spec.protocol
    score_episodes(experiment, experiment.algorithm, "test", protocol, Meter(experiment.device), every_step=False)


def _timed(action: Callable[[], None]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


if __name__ == "__main__":
    raise SystemExit(main())
