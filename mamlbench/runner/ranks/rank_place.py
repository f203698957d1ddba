"""Which rank of a run this process is, by the variables that torchrun sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mamlbench.errors import ConfigError

RENDEZVOUS = "MAMLBENCH_RENDEZVOUS"
"""Variable with a file in which the ranks of one machine find each other; torchrun has an address instead."""


@dataclass(frozen=True)
class RankPlace:
    """The place of this process among those that compute a run."""

    rank: int = 0
    """0 for the one that writes and prints"""
    count: int = 1
    """number of ranks"""
    local_rank: int = 0
    """number of this rank among those of its machine, which is that of its GPU"""
    local_count: int = 1
    """number of ranks on its machine"""
    rendezvous: str = "env://"
    """where the ranks find each other, as ``torch.distributed.rendezvous`` takes it"""
    attempt: int = 0
    """how often torchrun has started the ranks again"""


def rank_place(environment: Mapping[str, str] = os.environ) -> RankPlace:
    """Return the place of this process; that of a single process unless torchrun, or a launcher, has started it.

    Raises ConfigError if the variables contradict each other.
    """
    file = environment.get(RENDEZVOUS)
    # other programs set RANK too; without an address there is no group to join
    if "RANK" not in environment or "WORLD_SIZE" not in environment or not (file or "MASTER_ADDR" in environment):
        return RankPlace()
    rank, count, local_rank, local_count = (
        _number(environment, name, default)
        for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1))
    )
    attempt = _number(environment, "TORCHELASTIC_RESTART_COUNT", 0)
    if not 0 <= rank < count:
        raise ConfigError(
            f"RANK is {rank} and WORLD_SIZE {count}: start the ranks of a run with torchrun or --workers."
        )
    return RankPlace(rank, count, local_rank, local_count, f"file://{file}" if file else "env://", attempt)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal():
        raise ConfigError(f"The variable {name} is '{text}' and must be a number: torchrun and --workers set it.")
    return int(text)
