"""Which records of BASE and HEAD are the same cell: what was run is equal, or is meant to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mamlbench.record import RunRecord
from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import Conditions, Row, conditions_of, is_complete, settings_of

NOT_COMPARED = ("mamlbench",)
"""Packages that may differ between two sides whose times are compared: their difference is what is looked for."""


class Identity(NamedTuple):
    """What a cell is called. Method settings are not in it: where they differ, it is shown."""

    dataset: str
    ways: int
    shots: int
    algorithm: str
    preset: str

    def __str__(self) -> str:
        ways = f"{self.ways}-way " if self.ways > 1 else ""
        return f"{self.algorithm}, {self.dataset} {ways}{self.shots}-shot, {self.preset}"


@dataclass
class Cell:
    """Runs of one side that differ in nothing but the training seed, all by the same code."""

    identity: Identity
    row: Row
    left_out: int = 0
    """Older runs by other code or on other data."""

    @property
    def conditions(self) -> Conditions:
        """What its scores were measured under."""
        return conditions_of(row_settings.first(self.row))

    @property
    def machine(self) -> dict[str, str]:
        """What must be equal before times and memory may be compared."""
        found = row_settings.machine(self.row)
        return {name: value for name, value in found.items() if name not in NOT_COMPARED}


@dataclass
class Pair:
    """A cell of BASE and the same of HEAD; either may be missing."""

    identity: Identity
    base: Cell | None
    head: Cell | None
    label: str = ""
    """What tells it from other cells of the same identity."""
    changed: list[str] = field(default_factory=list)
    """Settings that differ between the sides, in words."""

    @property
    def name(self) -> str:
        """Identity and label."""
        return f"{self.identity}{f' ({self.label})' if self.label else ''}"


def pair_cells(base: Iterable[RunRecord], head: Iterable[RunRecord]) -> list[Pair]:
    """Match the cells of two sides: by equal specs first; what is left of an identity, where it is one on each side."""
    ours, theirs = _cells(base), _cells(head)
    pairs = []
    for identity in dict.fromkeys([*ours, *theirs]):
        left, right = ours.get(identity, {}), theirs.get(identity, {})
        made = [Pair(identity, left[key], right[key]) for key in left if key in right]
        alone = [cell for key, cell in left.items() if key not in right]
        others = [cell for key, cell in right.items() if key not in left]
        if len(alone) == len(others) == 1:
            made.append(Pair(identity, alone[0], others[0], changed=_changes(alone[0], others[0])))
        else:
            made += [Pair(identity, cell, None) for cell in alone] + [Pair(identity, None, cell) for cell in others]
        _tell_apart(made)
        pairs += made
    return pairs


def _cells(records: Iterable[RunRecord]) -> dict[Identity, dict[str, Cell]]:
    found: dict[Identity, dict[str, list[RunRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(records, key=lambda record: record.started):
        spec = record.spec.model_copy(update={"seed": 0})
        found[_identity(record)][spec.canonical_json()].append(record)
    return {
        identity: {key: _newest(identity, runs) for key, runs in cells.items()} for identity, cells in found.items()
    }


def _identity(record: RunRecord) -> Identity:
    protocol = record.test.protocol if record.test is not None else record.spec.protocol
    spec = record.spec
    return Identity(spec.dataset.name, protocol.ways, protocol.shots, spec.algorithm.name, spec.preset)


def _newest(identity: Identity, runs: Sequence[RunRecord]) -> Cell:
    """Runs by the code of the last one, on the data of the last one: what is older says nothing about this side."""
    kept = [run for run in runs if _made_by(run) == _made_by(runs[-1])]
    tested = [conditions_of(run) for run in kept if is_complete(run)]
    kept = [run for run in kept if not is_complete(run) or conditions_of(run) == tested[-1]]
    return Cell(identity, Row(kept), left_out=len(runs) - len(kept))


def _made_by(run: RunRecord) -> Any:
    environment = run.environment
    return environment.code_hash, environment.plugins, environment.packages.get("mamlbench")


def _changes(base: Cell, head: Cell) -> list[str]:
    before, after = (_method(cell) for cell in (base, head))
    names = dict.fromkeys([*before, *after])
    return [
        f"{name}: {before.get(name, '–')} → {after.get(name, '–')}"
        for name in names
        if name not in before or name not in after or before[name] != after[name]
    ]


def _tell_apart(pairs: Sequence[Pair]) -> None:
    described = [_method(pair.head or pair.base) for pair in pairs]
    names = dict.fromkeys(name for found in described for name in found)
    differing = [name for name in names if len({repr(found.get(name)) for found in described}) > 1]
    for pair, found in zip(pairs, described, strict=True):
        pair.label = ", ".join(f"{name}={found[name]}" for name in differing if name in found)


def _method(cell: Cell | None) -> dict[str, Any]:
    """Settings and protocol, without the code and the machine."""
    if cell is None:
        return {}
    run = row_settings.first(cell.row)
    return settings_of(run, surroundings=False) | run.spec.protocol.model_dump()
