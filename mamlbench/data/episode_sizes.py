"""Episodes of several sizes: how many classes and examples each has, and classes with unequal numbers of examples.

Sizes are functions of an episode's key alone, as everything else in it is.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlbench.data.counter_rng import Keys, hash64, sample_without_replacement, seed_key
from mamlbench.data.episodes import EpisodeBatch, Examples

WAYS, SHOTS, ORDER = (seed_key("episode sizes", purpose) for purpose in ("ways", "shots", "order of classes"))


def draw_sizes(
    keys: Keys, ways: tuple[int, int], shots: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw ways and shots of each episode ``[T]``, each uniformly between a least and a most, both included."""
    return _uniform(hash64(keys, int(WAYS)), *ways), _uniform(hash64(keys, int(SHOTS)), *shots)


def _uniform(draws: Keys, least: int, most: int) -> NDArray[np.int64]:
    return least + (draws % np.uint64(most - least + 1)).astype(np.int64)


def most_shots(shots: int, imbalance: float) -> int:
    """The largest number of support examples of a class: ``shots * (1 + imbalance)``, rounded up."""
    return int(np.ceil(round(shots * (1 + imbalance), 9)))


def imbalanced_shots(ways: int, shots: int, imbalance: float) -> NDArray[np.int64]:
    """Support examples of each class, int64 ``[ways]``, from the most to the fewest; ``ways * shots`` together.

    They fall evenly from ``shots * (1 + imbalance)`` to ``shots * (1 - imbalance)`` ("linear" in Ochal et al. 2021,
    "Few-shot learning with class imbalance", arXiv 2101.02523), with at least one in each class.
    """
    spread = np.linspace(1, -1, ways) if ways > 1 else np.zeros(1)
    exact = shots * (1 + imbalance * spread)
    counts = np.maximum(1, np.floor(exact + 1e-9).astype(np.int64))
    missing = ways * shots - int(counts.sum())
    # what rounding down has left goes to those that lost most; a class of one that was raised takes from the largest
    order = np.argsort(counts - exact, kind="stable")
    for place in range(abs(missing)):
        index = order[place % ways] if missing > 0 else int(np.argmax(counts))
        counts[index] += np.sign(missing)
    return counts


def with_imbalance(batch: EpisodeBatch, ways: int, shots: int, imbalance: float) -> EpisodeBatch:
    """Leave out support examples, so that classes have unequal numbers of them; which has many depends on the key.

    Args:
        batch: episodes with ``most_shots(shots, imbalance)`` support examples of each class, class after class.
        ways: classes of each episode.
        shots: support examples per class on average, as each episode has afterwards.
        imbalance: from 0 to less than 1.

    Returns support ``[T, ways * shots, ...]``; queries stay, and the numbers of images are left out.
    """
    keys = batch.keys.cpu().numpy().view(np.uint64)
    places = sample_without_replacement(hash64(keys, int(ORDER)), ways, ways)  # [T, N]
    counts = imbalanced_shots(ways, shots, imbalance)[places]  # [T, N]
    drawn = batch.support.y.shape[1] // ways
    stays = np.arange(drawn) < counts[..., None]  # [T, N, drawn]
    index = np.nonzero(stays.reshape(len(keys), -1))[1].reshape(len(keys), ways * shots)
    rows = torch.from_numpy(index).to(batch.support.y.device)
    support = Examples(_taken(batch.support.x, rows), batch.support.y.gather(1, rows))
    return batch._replace(support=support, images=None)


GROUP_EXAMPLES = 48
"""What it costs to begin another batch, in examples: the work that no size of it changes."""


def group_sizes(
    support: NDArray[np.int64], query: NDArray[np.int64], most_tasks: int, most_examples: int
) -> list[NDArray[np.int64]]:
    """Divide tasks among batches in which all are filled up to the largest, so that the total cost is least.

    A batch costs ``GROUP_EXAMPLES`` and its examples, padding included. Of all divisions of the tasks in the order of
    their examples the best is found by dynamic programming; the same sizes always give the same division.

    Args:
        support: support examples of each task, ``[T]``.
        query: query examples of each task, ``[T]``.
        most_tasks: tasks of a batch, at most.
        most_examples: examples of a batch with padding, at most, unless it has one task.

    Returns the tasks of each batch, as positions.
    """
    order = np.lexsort((query, support, support + query))
    best, begins = np.zeros(len(order) + 1), np.zeros(len(order) + 1, np.int64)
    for end in range(1, len(order) + 1):
        tasks = order[max(0, end - most_tasks) : end][::-1]  # of batches that end here, of 1, 2, ... tasks
        of_task = np.maximum.accumulate(support[tasks]) + np.maximum.accumulate(query[tasks])
        counts = np.arange(1, len(tasks) + 1)
        cost = best[end - counts] + GROUP_EXAMPLES + counts * of_task
        cost[1:][(counts * of_task)[1:] > most_examples] = np.inf
        chosen = int(np.argmin(cost))
        best[end], begins[end] = cost[chosen], end - counts[chosen]
    groups, end = [], len(order)
    while end:
        groups.append(np.sort(order[begins[end] : end]))
        end = int(begins[end])
    return groups[::-1]


def _taken(x: Tensor, rows: Tensor) -> Tensor:
    """The examples ``[T, n, ...]`` of ``[T, m, ...]`` at ``rows`` ``[T, n]``."""
    tasks = torch.arange(len(rows), device=rows.device)[:, None]
    return x[tasks, rows]
