"""The contract of an algorithm: answers come from the images alone, losses are means, seeds are the run's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mamlbench.api import Algorithm, Examples, prefixed, tree_map
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_contract import TOLERANCE
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.checks import Check, ContractError, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import distance, snapshot
from mamlbench.testing.tiny import QUERIES, WAYS

INTERACTION = 1e-7
"""Part of the loss that rounding may leave of an interaction of two labels."""


def permuted_queries_permute_outputs(subject: AlgorithmSubject) -> None:
    """The outputs for a query example do not depend on its position among the queries."""
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    adapted = algorithm.adapt(episodes.support, episodes.keys)
    order = torch.arange(WAYS * QUERIES).view(WAYS, QUERIES).T.flatten()  # class after class becomes class by class
    for mode in MODES:
        expected = adapted.predict(episodes.query.x, mode)[:, order]
        difference = distance(adapted.predict(episodes.query.x[:, order], mode), expected)
        ensure(difference < TOLERANCE, f"{mode}: outputs differ by {difference:.2g} beyond the permutation")


def training_adapts_to_the_support_set_alone(subject: AlgorithmSubject) -> None:
    """In training, the label of one query example does not change what another one contributes to the loss.

    The outer loss adds up over query examples, and the inner loop does not see them. If it did, it would adapt to
    their labels, and changing two labels would not be the sum of changing each.
    """
    _require_queries(subject)
    algorithm = subject.build()
    batch = subject.episodes("train")

    def loss(*renamed: int) -> float:
        """The training loss if the labels at these positions are others."""
        y = batch.query.y.clone()
        y[:, list(renamed)] = (y[:, list(renamed)] + 1) % WAYS
        return float(algorithm.compute_update(batch._replace(query=Examples(batch.query.x, y))).loss)

    first, last = 0, WAYS * QUERIES - 1
    interaction = abs(loss(first, last) - loss(first) - loss(last) + loss())
    ensure(
        interaction <= INTERACTION * max(1.0, abs(loss())),
        f"changing the labels of two queries differs from changing each by {interaction:.2g}",
    )


def losses_are_means(subject: AlgorithmSubject) -> None:
    """With every query (or labeled example) twice, the loss and the update of a task stay the same."""
    algorithm = subject.build()
    batch = subject.training_batch(algorithm)
    if isinstance(batch, Examples):
        twice: Any = tree_map(lambda leaf: torch.cat([leaf, leaf]), batch)
    else:
        _require_queries(subject)
        twice = batch._replace(query=tree_map(lambda leaf: torch.cat([leaf, leaf], 1), batch.query))
    once, doubled = algorithm.compute_update(batch), algorithm.compute_update(twice)
    differences = {name: distance(value, once.mean[name]) for name, value in doubled.mean.items()}
    differences["the loss"] = distance(doubled.loss / doubled.count, once.loss / once.count)
    largest = max(differences, key=lambda name: differences[name])
    ensure(differences[largest] < TOLERANCE, f"{largest} changes by {differences[largest]:.2g}")


def steps_descend(subject: AlgorithmSubject) -> None:
    """The first outer step moves every meta-parameter against its gradient."""
    if subject.plugin.gradient_order is None:
        raise NotApplicable("declares no meta-gradient")
    algorithm = subject.build(quick=True)
    update = algorithm.compute_update(subject.training_batch(algorithm))
    before = snapshot(algorithm.meta)
    algorithm.apply(update)
    climbing = [
        name for name, value in algorithm.meta.items() if float(((value - before[name]) * update.sums[name]).sum()) > 0
    ]
    ensure(not climbing, f"these move along their gradient: {', '.join(climbing)}")


def every_network_depends_on_the_seed(subject: AlgorithmSubject) -> None:
    """With another seed of the run, everything that is initialized at random starts from other values."""
    first, other = (_learned(subject.build(seed=seed)) for seed in (0, 1))
    alike = [name for name, value in first.items() if _looks_random(value) and torch.equal(value, other[name])]
    ensure(not alike, f"equal for seeds 0 and 1: {', '.join(alike)}")


def _learned(algorithm: Algorithm) -> dict[str, Tensor]:
    """All that training changes, by name."""
    state = {name: value for name, value in algorithm.state().items() if isinstance(value, Tensor)}
    return state | prefixed("meta", algorithm.meta)


def _looks_random(value: Tensor) -> bool:
    """Whether a tensor has many different values; zeros, ones and an identity matrix do not."""
    return len(set(value.flatten().tolist())) > max(2, value.numel() // 2)


def nothing_depends_on_pythons_hash(subject: AlgorithmSubject) -> None:
    """The method does not call hash() on texts, whose result changes from process to process.

    Only calls in the modules that the method's classes are defined in are found.
    """
    with _hash_refused(subject.plugin):
        algorithm = subject.trained(subject.build(), 1)
        episodes = subject.episodes()
        algorithm.adapt(episodes.support, episodes.keys).predict(episodes.query.x, MODES[0])


@contextmanager
def _hash_refused(plugin: type[Algorithm]) -> Iterator[None]:
    """Put a function in place of ``hash`` in the plugin's modules that refuses what differs between processes."""
    # not in typing, whose hash a progress bar's thread may call at this moment
    left_alone = {"mamlbench", *sys.stdlib_module_names}
    names = {cls.__module__ for cls in plugin.__mro__ if cls.__module__.partition(".")[0] not in left_alone}
    namespaces = [vars(sys.modules[name]) for name in names if name in sys.modules]
    namespaces = [namespace for namespace in namespaces if "hash" not in namespace]
    for namespace in namespaces:
        namespace["hash"] = _stable_hash
    try:
        yield
    finally:
        for namespace in namespaces:
            del namespace["hash"]


def _stable_hash(value: object) -> int:
    if not isinstance(value, int | float | complex):
        raise ContractError(f"hash() is called on a {type(value).__name__}")
    return hash(value)


def _require_queries(subject: AlgorithmSubject) -> None:
    if subject.plugin.trains_on == "examples":
        raise NotApplicable("trains on labeled examples, not on episodes")
    if not subject.plugin.uses_queries:
        raise NotApplicable("uses_queries is False: training does not look at queries")


LEAKS = (
    Check(
        permuted_queries_permute_outputs,
        "Predict from each query's image; never from its place: queries lie class after class only by accident.",
    ),
    Check(
        training_adapts_to_the_support_set_alone,
        "Adapt to batch.support in training as at test time; query examples belong in the outer loss alone.",
    ),
    Check(losses_are_means, "Divide a task's loss by its number of examples, as torch's default reduction does."),
    Check(steps_descend, "Subtract the gradient in apply: check the sign of each part."),
    Check(
        every_network_depends_on_the_seed,
        "Initialize networks of your own inside `with mamlbench.api.seeded('name', context.seed):`.",
    ),
    Check(nothing_depends_on_pythons_hash, "Use mamlbench.api.seed_key in place of hash()."),
)
