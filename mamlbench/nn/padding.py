"""Padding: examples that fill up a task to the size of others, and change no number of it.

Tasks of several sizes become one batch if the smaller ones are filled up. The input of such an example is NaN, so that
what forgets to leave it out gives NaN; its label is minus the task's number of classes, which the objective reads there
(``ClassificationOfPadded``). ``Model`` finds them in its input while ``padded_tasks`` is active: it computes with zeros
in their place, batch norm takes its statistics from the others, and their outputs are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

from mamlbench.data.episodes import Examples
from mamlbench.nn.vmap_internals import inside_one_vmap, outside_vmap, unwrap_batch_expanded


class Existing(NamedTuple):
    """Which examples of a forward pass are no padding."""

    mask: Tensor  # [n] bool, of one task
    rows: Tensor | None  # [T] int64 of all tasks, how many each has if they come first; None: they do not, or no vmap


# As the statistics of batch norm: a layer's forward takes examples and nothing else.
_active: ContextVar[bool] = ContextVar("active", default=False)
_existing: ContextVar[Existing | None] = ContextVar("existing", default=None)


def filled_up(parts: Sequence[Examples], ways: Sequence[int], *, multiple: int = 1) -> Examples:
    """The tasks of all parts with equally many examples, by padding; every task gets at least one.

    Args:
        parts: x ``[T, n, *input_shape]`` and y ``[T, n]``, each of one size; a single one stays as it is.
        ways: number of classes of the tasks of each part.
        multiple: what the number of examples is to be a multiple of.
    """
    if len(parts) == 1:
        return parts[0]
    count = (max(part.y.shape[1] for part in parts) // multiple + 1) * multiple
    whole = [_padded(part, count, classes) for part, classes in zip(parts, ways, strict=True)]
    return Examples(*(torch.cat(values) for values in zip(*whole, strict=True)))


def _padded(examples: Examples, count: int, ways: int) -> Examples:
    x, y = examples
    missing = count - y.shape[1]
    filler = x.new_full((len(x), missing, *x.shape[2:]), float("nan"))
    return Examples(torch.cat([x, filler], 1), torch.cat([y, y.new_full((len(y), missing), -ways)], 1))


def marked_as_padding(x: Tensor) -> Tensor:
    """Which inputs ``[n, *input_shape]`` look like padding: bool ``[n]``."""
    return x.flatten(1)[:, 0].isnan()


@contextmanager
def padded_tasks() -> Iterator[None]:
    """Let every ``Model`` look for padding in its inputs."""
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def existing_examples() -> Existing | None:
    """Which examples of the present forward pass are no padding; None if all."""
    return _existing.get()


def without_padding(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Call ``forward`` with inputs ``[n, *input_shape]``, so that padding changes nothing and gets zeros ``[n, d]``."""
    if not _active.get() or not x.is_floating_point():
        return forward(x)
    mask = ~marked_as_padding(x)
    token = _existing.set(Existing(mask, _rows(mask)))
    try:
        outputs = forward(x.where(_like(mask, x), 0.0))
    finally:
        _existing.reset(token)
    return outputs.where(_like(mask, outputs), 0.0)


def _like(mask: Tensor, x: Tensor) -> Tensor:
    """``[n]`` to ``[n, 1, ...]`` with the dimensions of ``x``."""
    return mask.view(-1, *(1 for _ in range(x.ndim - 1)))


def _rows(mask: Tensor) -> Tensor | None:
    if not inside_one_vmap():
        return None
    of_tasks = unwrap_batch_expanded(mask)  # [T, n]
    with outside_vmap():
        rows = of_tasks.sum(1)
        first = torch.arange(of_tasks.shape[1], device=of_tasks.device) < rows[:, None]
        return rows if torch.equal(first, of_tasks) else None


def masked_statistics(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance ``[C]`` of ``[n, C]`` or ``[n, C, H, W]``, of the examples in ``mask`` ``[n]`` alone."""
    dimensions = [0, *range(2, x.ndim)]
    weights = _like(mask.to(x), x) / (mask.sum() * x[0, 0].numel())
    mean = (x * weights).sum(dimensions)
    centered = x - mean.view(-1, *(1 for _ in range(x.ndim - 2)))
    return mean, (centered.square() * weights).sum(dimensions)
