"""Episodes and labeled examples as tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Examples(NamedTuple):
    """Inputs with their targets; the leading dimension T is missing if there is only one task.

    Attributes:
        x: float32 ``[T, n, *input_shape]``, or int64 token ids of that shape. Images are ``[C, H, W]`` in
            [0, 1], unless the data set normalizes them.
        y: int64 labels ``[T, n]`` in 0 to ways - 1, or float32 targets ``[T, n, outputs]``.
    """

    x: Tensor  # [T, n, *input_shape] float32
    y: Tensor  # [T, n] int64 labels in 0..ways-1, or [T, n, outputs] float32 targets


class EpisodeBatch(NamedTuple):
    """T episodes.

    Attributes:
        support: examples that a method adapts to: x ``[T, ways * shots, *input_shape]``, class after class.
        query: examples that it is tested on: x ``[T, ways * queries, *input_shape]``, class after class.
            In validation and test both sets are shuffled before a method sees them.
        keys: int64 ``[T]``; seeds of everything random inside a task, which so depends on the episode alone.
        classes: int64 ``[T, ways]``, the class of the split that each label stands for; None without classes, or if
            the sampler does not say.
        images: int64 ``[T, ways, shots + queries]``, a number of the split for each image, support first; None without
            images, or if the sampler does not say.
    """

    support: Examples
    query: Examples
    keys: Tensor  # [T] int64
    classes: Tensor | None = None  # [T, ways] int64
    images: Tensor | None = None  # [T, ways, shots + queries] int64

    @property
    def tasks(self) -> int:
        """Number of episodes T."""
        return self.keys.shape[0]

    @property
    def examples(self) -> int:
        """Total number of support and query examples."""
        support, query = self.support.y.shape, self.query.y.shape
        return support[0] * (support[1] + query[1])
