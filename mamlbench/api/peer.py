"""Peers: other libraries' own way of computing one meta-iteration, to be timed beside ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from mamlbench.data.episodes import EpisodeBatch


@dataclass(frozen=True)
class PeerWork:
    """One meta-iteration as a peer gets it: the same network, loss, episodes and number of threads as ours.

    Args:
        network: to be meta-learned; all its parameters are adapted in the inner loop.
        loss: mean loss of outputs ``[n, outputs]`` and targets, a scalar.
        batch: the episodes.
        inner_lr: rate of the inner gradient step.
        steps: number of inner steps.
        first_order: whether the meta-gradient leaves the inner steps out.
    """

    network: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: EpisodeBatch
    inner_lr: float
    steps: int
    first_order: bool


@dataclass(frozen=True)
class PeerTraining:
    """A whole training as a peer gets it: images in memory, of which it draws episodes by its own means.

    Args:
        network, loss, inner_lr, steps, first_order: as in PeerWork.
        x: every training image, float32 ``[images, C, H, W]``.
        y: its class, ``[images]``.
        rotations: whether each class of an episode is turned by a random multiple of 90 degrees.
        ways, shots, queries: of an episode.
        tasks: episodes in a meta-batch.
        outer_lr: rate of the outer Adam.
    """

    network: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    x: Tensor
    y: Tensor
    rotations: bool
    ways: int
    shots: int
    queries: int
    tasks: int
    inner_lr: float
    outer_lr: float
    steps: int
    first_order: bool


class Peer(ABC):
    """An adapter, as thin as it can be.

    Attributes:
        package: name of the distribution, whose version is reported.
        call: which call of the peer is timed, in words.
    """

    package: ClassVar[str]
    call: ClassVar[str]

    @abstractmethod
    def iteration(self, work: PeerWork) -> Callable[[], None]:
        """Return a function that leaves the meta-gradient, summed over the tasks, in the parameters' ``grad``.

        What can be prepared once for a whole training is done here; what each iteration needs is done in the function.
        Raises ImportError where the peer is not installed.
        """

    def training(self, work: PeerTraining) -> Callable[[], None]:
        """Return a function that does one iteration of a training: draw a meta-batch, its gradient, the outer step.

        Raises NotImplementedError where the peer has no means to draw episodes.
        """
        raise NotImplementedError(f"{self.package} is not timed on a whole training")
