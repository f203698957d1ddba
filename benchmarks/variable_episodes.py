"""What episodes of several sizes cost, beside episodes of one size that have as many classes and shots on average.

    python benchmarks/variable_episodes.py [--algo maml protonet] [--iterations 8] [--episodes 60] [--rounds 3]

Both sides train and test by turns in one process, a few minutes in all. The ratio is that of the medians of the rounds'
CPU seconds. It contains chance: a round's episodes of several sizes have more or fewer images than those of one size.
What padding adds is exact: images with padding, by those without, and the number of batches.
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
from mamlbench.run_spec import Folders, Protocol
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.meter import Meter
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.scoring import batches, score_episodes

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
    parser.add_argument("--iterations", type=int, default=8, help="meta-iterations of a round; default: 8")
    parser.add_argument("--episodes", type=int, default=60, help="test episodes of a round; default: 60")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--meta-batch-size", type=int, default=16, help="default: 16")
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
        "computed by size because": sides[0].padding_problem,
        **_counts(*sides, options),
    }


def _counts(varied: Experiment, fixed: Experiment, options: argparse.Namespace) -> dict[str, object]:
    """Images of both sides, without padding and with it, and batches."""
    trained = [varied.training_batch(number) for number in range(options.iterations)]
    groups = batches(varied, "test", varied.spec.protocol, range(options.episodes))
    sizes = [[(part.shape, len(part.numbers)) for part in group] for group in groups]
    of_one = fixed.spec.protocol.ways * (fixed.spec.protocol.shots + fixed.spec.protocol.queries)
    images = sum(_images(shape) * count for group in sizes for shape, count in group)
    largest = sum(
        (max(s.ways * s.shots for s, _ in group) + max(s.ways * s.queries for s, _ in group)) * sum(n for _, n in group)
        for group in sizes
    )
    return {
        "train_images": [sum(batch.examples for batch in trained), of_one * options.meta_batch_size * len(trained)],
        "train_images_padded": sum(episodes.examples for batch in trained for _, episodes in batch.groups),
        "train_batches": sum(len(batch.groups) for batch in trained) / len(trained),
        "test_images": [images, of_one * options.episodes],
        "test_images_padded": largest,
        "test_batches": len(groups),
    }


def _images(shape: Protocol) -> int:
    return shape.ways * (shape.shots + shape.queries)


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
