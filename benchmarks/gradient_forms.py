"""Does a method that takes ``torch.func.grad`` in its inner step run as fast as one that takes ``mamlbench.api.grad``?

Second-order MAML on batches shaped as Omniglot's 5-way 1-shot tasks, through an engine, written in both forms and timed
by turns. Prints the median over rounds of CPU seconds a meta-gradient takes, and of the ratio within a round: seconds
of CPU, since other programs on the machine change those less than seconds of a clock. Exits with 1 beyond ``--within``.

    python benchmarks/gradient_forms.py --rounds 30
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from mamlbench.api import (
    Classification,
    EpisodeBatch,
    Examples,
    GradientBased,
    MethodContext,
    Model,
    OuterOptions,
    Parameters,
    grad,
)
from mamlbench.engine import keep_memory, make_engine
from mamlbench.nn.torch_grad import torch_grad_route
from mamlbench.plugin import load_plugins

WAYS, SHAPE, INNER_LR = 5, (1, 28, 28), 0.1
FORMS: dict[str, Callable[..., Any]] = {"torch.func.grad": torch.func.grad, "mamlbench.api.grad": grad}


class Method(GradientBased):
    """MAML with one of the two forms."""

    train_steps = test_steps = 1

    def __init__(self, context: MethodContext, form: Callable[..., Any]) -> None:
        super().__init__(context, OuterOptions())
        self.gradient = form(self.loss)

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """Start at the shared initialization."""
        return meta

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """One step of gradient descent."""
        slope = self.gradient(state, support)
        return {name: value - INNER_LR * slope[name] for name, value in state.items()}

    def loss(self, state: Parameters, examples: Examples) -> torch.Tensor:
        """Mean loss on these examples."""
        return self.objective.loss(self.model(state, examples.x), examples.y)


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    """Time the two forms by turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--engine", default="vmap")
    parser.add_argument("--backbone", default="conv4-strided")
    parser.add_argument("--within", type=float, default=0.03, help="difference allowed, as a share")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    batch, methods = random_batch(arguments.tasks), {name: method(form, arguments) for name, form in FORMS.items()}
    works = {name: lambda m=method: m.compute_update(batch) for name, method in methods.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(arguments.rounds + 2):  # the first two warm up
        for name in sorted(works, reverse=bool(number % 2)):
            times[name].append(seconds(works[name]))
    times = {name: taken[2:] for name, taken in times.items()}
    torchs, ours = (times[name] for name in FORMS)
    ratio = statistics.median(a / b for a, b in zip(torchs, ours, strict=True))
    print(f"torch.func.grad computes by: {torch_grad_route()}")
    for name, taken in times.items():
        print(f"{name:20s} {1e3 * statistics.median(taken):8.1f} ms CPU (fastest {1e3 * min(taken):.1f})")
    print(f"median ratio of {arguments.rounds} rounds: {ratio:.3f}; of the fastest: {min(torchs) / min(ours):.3f}")
    return int(abs(ratio - 1) > arguments.within)


def method(form: Callable[..., Any], arguments: argparse.Namespace) -> Method:
    """The method on a new network, the same for every form."""
    backbone = load_plugins().registry.load("backbone", arguments.backbone)
    objective, engine = Classification(WAYS), make_engine(arguments.engine)

    def build(outputs: int) -> Model:
        torch.manual_seed(0)
        return Model(backbone(backbone.Options()).build(SHAPE, outputs), engine)

    return Method(MethodContext(build, objective, objective, engine, 1, 1), form)


def random_batch(tasks: int) -> EpisodeBatch:
    """5-way 1-shot episodes with one query example a class."""
    generator = torch.Generator().manual_seed(0)
    support, query = (
        Examples(torch.rand(tasks, WAYS, *SHAPE, generator=generator), torch.arange(WAYS).expand(tasks, -1))
        for _ in range(2)
    )
    return EpisodeBatch(support, query, torch.arange(tasks))


if __name__ == "__main__":
    sys.exit(main())
