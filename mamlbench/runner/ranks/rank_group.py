"""The ranks of a run: adds up their updates, and sends what one has to the others, by ``torch.distributed``.

All ranks call the same operations in the same order. Sums reach every rank with the same bits, so that their states
never drift apart.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mamlbench.api import OuterUpdate, Parameters
from mamlbench.errors import ConfigError, RankLostError
from mamlbench.runner.ranks.rank_place import RankPlace

TIMEOUT = timedelta(minutes=30)
"""Longest wait for another rank that lives: the first one may prepare data or compile meanwhile."""
SIGNAL_SECONDS = 0.02
"""Time for a signal that ended another rank to be noticed here, too: then the run was interrupted."""
LOST = "another process of the run ended (killed, or out of memory): --resume goes on, with any number of ranks"


@dataclass(frozen=True)
class Ranks:
    """The ranks of a run as one of them sees them; as it stands, a single process, which sends nothing."""

    rank: int = 0
    count: int = 1

    @property
    def alone(self) -> bool:
        """Whether this process computes the run by itself."""
        return self.count == 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def part_of(self, total: int) -> range:
        """Return the positions of this rank among ``total``; parts follow each other and differ by one at most."""
        return range(self.rank * total // self.count, (self.rank + 1) * total // self.count)

    def add_up(self, update: OuterUpdate) -> OuterUpdate:
        """Add the updates of all ranks: sums, loss and count."""
        return update

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, by rank; tensors come back on the CPU."""
        return [value]

    def from_leader(self, value: Any) -> Any:
        """Return the value of the first rank, whatever the others pass; tensors come back on the CPU."""
        return value


ALONE = Ranks()
"""Of a run in a single process."""


class RankGroup(Ranks):
    """Several ranks, from ``joined_ranks``. Each operation raises RankLostError if another rank has ended."""

    def add_up(self, update: OuterUpdate) -> OuterUpdate:
        """Add the updates of all ranks: sums, loss and count.

        Raises ConfigError if the update has a ``carry``: then tasks depend on each other.
        """
        if update.carry is not None:
            raise ConfigError("The update of a method that passes a carry on cannot be added up: set additive = False.")
        parts = [*update.sums.values(), update.loss, update.loss.new_tensor(update.count)]
        *sums, loss, count = self._sum(parts)
        return OuterUpdate(Parameters(zip(update.sums, sums, strict=True)), loss, round(float(count)))

    def gather(self, value: Any) -> list[Any]:
        parts: list[Any] = [None] * self.count
        with _losses_named():
            dist.all_gather_object(parts, _dump(value))
        return [_load(part) for part in parts]

    def from_leader(self, value: Any) -> Any:
        parts = [_dump(value) if self.leads else b""]
        with _losses_named():
            dist.broadcast_object_list(parts, src=0, device=torch.device("cpu"))
        return _load(parts[0])

    def _sum(self, parts: list[Tensor]) -> list[Tensor]:
        """Sum each tensor over the ranks, all of one type in one message."""
        sums: list[Tensor] = list(parts)
        for dtype in dict.fromkeys(part.dtype for part in parts):
            places = [place for place, part in enumerate(parts) if part.dtype == dtype]
            flat = torch.cat([parts[place].detach().reshape(-1) for place in places])
            with _losses_named():
                dist.all_reduce(flat)
            for place, piece in zip(places, torch.split(flat, [parts[place].numel() for place in places]), strict=True):
                sums[place] = piece.view(parts[place].shape)
        return sums


@contextmanager
def joined_ranks(place: RankPlace, device: torch.device) -> Iterator[Ranks]:
    """Join the other ranks of the run, by NCCL if each has a GPU of its own, else by gloo; leave them at the end.

    Raises ConfigError if a rank has asked for a certain GPU, RankLostError if not all ranks come.
    """
    if place.count == 1:
        yield ALONE
        return
    backend = _backend(place, device)
    with _losses_named():
        meet = dist.rendezvous  # type: ignore[attr-defined]
        store, *_ = next(iter(meet(place.rendezvous, place.rank, place.count, timeout=TIMEOUT)))
        # torchrun keeps its store when it starts all ranks again: addresses of dead ones must not be found there
        store = dist.PrefixStore(f"attempt {place.attempt}", store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.count, timeout=TIMEOUT)
    try:
        yield RankGroup(place.rank, place.count)
    finally:
        dist.destroy_process_group()  # the others, who wait for this one, notice it


def _backend(place: RankPlace, device: torch.device) -> str:
    """Choose how tensors are sent, and take this rank's GPU."""
    if device.type != "cuda":
        return "gloo"
    if str(device) != device.type:  # cuda:N
        raise ConfigError(f"Each rank takes a GPU of its own: use --device cuda, not {device}.")
    gpus = torch.cuda.device_count()
    torch.cuda.set_device(place.local_rank % gpus)
    return "cpu:gloo,cuda:nccl" if place.local_count <= gpus else "gloo"  # NCCL refuses a GPU that two ranks share


@contextmanager
def _losses_named() -> Iterator[None]:
    """Raise RankLostError for what the backends raise if a connection breaks."""
    try:
        yield
    except RuntimeError as error:  # torch.distributed's own errors are of this class
        time.sleep(SIGNAL_SECONDS)
        raise RankLostError(LOST) from error


def _dump(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _load(content: bytes) -> Any:
    # Unsafe for outside data. Here it comes from a rank of the same run: a process that could join its group can have
    # the ranks run code in any case, since torch.distributed's own collectives of objects unpickle too.
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
