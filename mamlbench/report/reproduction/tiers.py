"""How far the runs of a results folder have come with each published number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mamlbench.record import PublishedNumber, RunRecord
from mamlbench.record.published_number import Tier
from mamlbench.record.reproduction import PlannedReproduction
from mamlbench.report.reproduction.verdict import judge_reproduction
from mamlbench.report.table.groups import is_complete

TIERS: tuple[Tier, ...] = ("quoted", "run at a scale", "run in full", "reproduced")
"""From not run at all to reproduced."""


def with_tiers(
    numbers: Iterable[PublishedNumber], planned: Iterable[PlannedReproduction], records: Iterable[RunRecord]
) -> list[PublishedNumber]:
    """Return the numbers with the tier that the records give them, and the records that it rests on.

    A number whose runs are none of these keeps the tier that its file states.

    Args:
        numbers: published numbers.
        planned: readings of reproductions; variants with a mistake of the original do not count, which the number of
            a system that has it itself does.
        records: finished or not.
    """
    finished = [record for record in records if is_complete(record)]
    best: dict[str, tuple[Tier, tuple[str, ...]]] = {}
    for entry in planned:
        wrong = entry.variant is not None and entry.mistake
        own = [] if wrong else [record for record in finished if entry.is_of(record.spec)]
        if own:
            tier, names = _tier(entry, own)
            before, _ = best.get(entry.number.id, ("quoted", ()))
            if TIERS.index(tier) > TIERS.index(before):
                best[entry.number.id] = tier, names
    return [
        number.model_copy(update={"tier": best[number.id][0], "records": best[number.id][1]})
        if number.id in best and TIERS.index(best[number.id][0]) > TIERS.index(number.tier)
        else number
        for number in numbers
    ]


def _tier(planned: PlannedReproduction, records: Sequence[RunRecord]) -> tuple[Tier, tuple[str, ...]]:
    """The tier of a number with one or more finished runs, and their names."""
    full = [record for record in records if _is_full(planned, record)]
    if not full:
        return "run at a scale", _names(records)
    last = {record.spec.seed: record for record in full}
    verdict = judge_reproduction(planned, [last[seed] for seed in sorted(last)])
    return ("reproduced" if verdict.kind == "reproduced" else "run in full"), _names(full)


def _is_full(planned: PlannedReproduction, record: RunRecord) -> bool:
    """Whether a run has all iterations, on the whole data set."""
    complete = record.data is None or record.data.subset is None
    return complete and record.spec.training.iterations >= planned.full.training.iterations


def _names(records: Sequence[RunRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.name for record in records))
