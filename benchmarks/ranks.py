"""Two processes with one thread each against one process with two threads: seconds per training iteration, by turns.

    python benchmarks/ranks.py [--data-dir DIR] [--rounds 10] [--iterations 20] [--ranks 2] [--algo maml]

Both sides train the same method from the same parameters on the same episodes: Omniglot and miniImageNet, 5-way 1-shot
(``--dataset glyphs`` needs no files). Processes are started once and train in turn, each side first in every other
round; while one side trains, the other one waits without using a core. Every round gives a ratio; the median is printed
with its 95 % bootstrap interval, and then the largest difference of a parameter after some updates of both sides. Run
it on an idle machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import scipy.stats
import torch

from mamlbench.engine import keep_memory
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders, RunRequest, RunSpec
from mamlbench.runner.build import Experiment, build_experiment, load_dataset
from mamlbench.runner.checkpoints import State, clone
from mamlbench.runner.plan import plan
from mamlbench.runner.ranks.rank_group import joined_ranks
from mamlbench.runner.ranks.rank_place import RENDEZVOUS, rank_place
from mamlbench.runner.ranks.shares import training_share, whole_update
from mamlbench.user_config import cache_folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", default="maml")
    parser.add_argument("--engine", default="vmap")
    parser.add_argument("--dataset", action="append", help="data set; repeat for several  [omniglot, miniimagenet]")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--updates", type=int, default=50, help="after which the parameters of both are compared")
    arguments = parser.parse_args()
    data = () if arguments.data_dir is None else (("--data-dir", arguments.data_dir.absolute()),)
    folders = Folders(data=data, cache=cache_folder())
    for name in arguments.dataset or ("omniglot", "miniimagenet"):
        request = RunRequest(algorithms=(arguments.algo,), dataset=name, engine=arguments.engine)
        (spec,) = plan(request, load_plugins())
        _measure(spec, folders, arguments)


def _measure(spec: RunSpec, folders: Folders, arguments: argparse.Namespace) -> None:
    ranks, rounds, iterations = arguments.ranks, arguments.rounds, arguments.iterations
    with tempfile.TemporaryDirectory() as folder:
        sides = {"one process": _Side(spec, folders, 1, ranks, Path(folder))}
        sides["ranks"] = _Side(spec, folders, ranks, 1, Path(folder))
        ratios, seconds = [], []
        for number in range(rounds + 1):
            measured = {name: sides[name].train(iterations) for name in sorted(sides, reverse=number % 2 == 1)}
            if number:  # the first round warms up
                ratios.append(measured["ranks"] / measured["one process"])
                seconds.append(measured["one process"] / iterations)
        states = [side.state_after(arguments.updates) for side in sides.values()]
        for side in sides.values():
            side.end()
    interval = scipy.stats.bootstrap((ratios,), statistics.median, vectorized=False, rng=0).confidence_interval
    difference = max(float((states[0][name] - states[1][name]).abs().max()) for name in states[0])
    print(f"\n{spec.algorithm.name} on {spec.dataset.name}, {rounds} rounds of {iterations} iterations, {spec.engine}")
    low, high = interval
    print(f"one process, {ranks} threads: {1000 * statistics.median(seconds):.1f} ms per iteration")
    print(f"{ranks} ranks of 1 thread take {statistics.median(ratios):.3f} of it ({low:.3f}..{high:.3f})")
    print(f"largest difference of a parameter after {arguments.updates} updates in {spec.precision}: {difference:.2g}")


class _Side:
    """The processes of one side, which train when they are asked to."""

    def __init__(self, spec: RunSpec, folders: Folders, count: int, threads: int, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        for rank in range(count):
            mine, theirs = context.Pipe()
            place = {"RANK": str(rank), "WORLD_SIZE": str(count), RENDEZVOUS: str(folder / f"rendezvous-{count}")}
            context.Process(target=_work, args=(theirs, place, threads, spec, folders), daemon=True).start()
            self.pipes.append(mine)

    def train(self, iterations: int) -> float:
        """Train from the initial parameters; seconds until the last process is done."""
        self._ask(("reset", 0))
        began = time.perf_counter()
        self._ask(("train", iterations))
        return time.perf_counter() - began

    def state_after(self, updates: int) -> State:
        """The parameters after some updates, as numpy arrays sent by the first process."""
        self._ask(("reset", 0))
        self._ask(("train", updates))
        answer = self._ask(("state", 0))[0]
        return {name: torch.from_numpy(value) for name, value in answer.items()}

    def end(self) -> None:
        """End the processes."""
        for pipe in self.pipes:
            pipe.send(("end", 0))

    def _ask(self, order: tuple[str, int]) -> list[dict[str, object]]:
        for pipe in self.pipes:
            pipe.send(order)
        return [pipe.recv() for pipe in self.pipes]


def _work(pipe: Connection, place: dict[str, str], threads: int, spec: RunSpec, folders: Folders) -> None:
    os.environ.update(place)
    torch.set_num_threads(threads)
    keep_memory()
    plugins = load_plugins()
    experiment = build_experiment(spec, plugins, load_dataset(spec, plugins, folders))
    start = clone(experiment.algorithm.state())
    with joined_ranks(rank_place(), experiment.device) as ranks:
        experiment.ranks = ranks
        while (order := pipe.recv())[0] != "end":
            pipe.send(_obey(order, experiment, start))


def _obey(order: tuple[str, int], experiment: Experiment, start: State) -> dict[str, object]:
    kind, number = order
    if kind == "reset":
        experiment.algorithm.load_state(start)
    for iteration in range(number):
        batch, _ = training_share(experiment, iteration)
        experiment.algorithm.apply(whole_update(experiment, iteration, batch))
    return {} if kind != "state" else {name: value.numpy() for name, value in experiment.algorithm.meta.items()}


if __name__ == "__main__":
    main()
