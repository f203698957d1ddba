"""The table of ``mamlbench transfer``: a row for each model, a column for each data set and number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from mamlbench.record import Evaluation, Interval, ModeResult, RunRecord
from mamlbench.record.stored_evaluation import TransferCell
from mamlbench.report.formatting import with_half_width
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.doubts import SIGN, evaluation_doubts
from mamlbench.report.table.seen_test_data import ABOUT, seen_in
from mamlbench.report.table.table import Table, TableRow

Value = TypeVar("Value", str, int)


class TransferConditions(NamedTuple):
    """What holds for every cell that has a score; empty or None if it differs."""

    metric: str
    mode: str
    ways: int | None
    queries: int | None
    test_episodes: int | None
    episode_seed: int | None


def transfer_table(cells: Sequence[TransferCell]) -> Table:
    """Build the table of all cells, with its rows and columns in their order."""
    places = list(dict.fromkeys((cell.dataset, cell.shots) for cell in cells))
    records = list({cell.record.name: cell.record for cell in cells}.values())
    by_place = {(cell.record.name, cell.dataset, cell.shots): cell for cell in cells}
    rows = [
        TableRow(
            record.spec.algorithm.name,
            settings,
            [_trained_on(record), *(_cell(by_place.get((record.name, *place))) for place in places)],
        )
        for record, settings in zip(records, _settings(records), strict=True)
    ]
    tests = [cell.evaluation for cell in cells if cell.evaluation is not None]
    conditions = _conditions(tests)
    return Table(
        title=_title(conditions, tests),
        conditions=conditions,
        unit=tests[0].unit if tests and len({test.unit for test in tests}) == 1 else "",
        columns=[
            _column("trained_on", "trained on", numeric=False),
            *(_column(f"{dataset}_{shots}shot", f"{dataset}, {shots}-shot") for dataset, shots in places),
        ],
        rows=rows,
        notes=_notes(cells, tests),
    )


def _column(name: str, title: str, *, numeric: bool = True) -> Column:
    return Column(name, title, title, lambda row: TableCell(), numeric=numeric)


def _trained_on(record: RunRecord) -> TableCell:
    name = record.spec.dataset.name
    facts = {"record": record.name, "shots": record.spec.training.shots, "seed": record.spec.seed}
    return TableCell(name, {"": name, **facts})


def _cell(cell: TransferCell | None) -> TableCell:
    """Score, gain and whether the classes were seen; or why there is no score."""
    if cell is None:
        return TableCell()
    if cell.evaluation is None:
        return TableCell(cell.reason, {"": None, "reason": cell.reason}, bad=True)
    test = cell.evaluation
    result, percent = _result(test), test.unit == "%"
    seen = seen_in(test)
    parts = [_shown(result.score, percent)]
    parts += [_shown(result.gain, percent, signed=True)] if result.gain else []
    parts += [seen.answer] if seen else []
    data: dict[str, Any] = {"": result.score.mean, "low": result.score.low, "high": result.score.high}
    for name, interval in (("untrained", result.untrained), ("gain", result.gain)):
        data[name] = interval.mean if interval else None
    data |= {"gain_low": result.gain.low, "gain_high": result.gain.high} if result.gain else {}
    facts = {
        "metric": test.metric,
        "mode": _mode(test),
        "seen": seen.answer if seen else None,
        "seen_reason": "; ".join(seen.reasons) if seen else None,
        "resized_from": "x".join(map(str, test.resized_from)) if test.resized_from else None,
        "test_episodes": len(result.episode_scores),
        "file": cell.file.name if cell.file else None,
    }
    was_seen = seen is not None and seen.answer == "seen"
    return TableCell(", ".join(parts), {**data, **facts}, mark=SIGN if _doubts(test) else "", bad=was_seen)


def _mode(test: Evaluation) -> str:
    return next(iter(test.modes))


def _result(test: Evaluation) -> ModeResult:
    return test.modes[_mode(test)]


def _doubts(test: Evaluation) -> list[str]:
    return evaluation_doubts(test, test.metric, _mode(test))


def _shown(interval: Interval, percent: bool, *, signed: bool = False) -> str:
    return with_half_width(interval.mean, (interval.high - interval.low) / 2, percent, signed=signed)


def _settings(records: Sequence[RunRecord]) -> list[str]:
    """What distinguishes each row from others of the same method and data set: ways, shots and seed, or its name."""
    parts_of = [_parts(record) for record in records]
    texts = []
    for record, parts in zip(records, parts_of, strict=True):
        others = [other for other in parts_of if other[:2] == parts[:2]]
        different = [index for index in range(2, len(parts)) if len({other[index] for other in others}) > 1]
        twins = others.count(parts)
        texts.append(record.name if twins > 1 else " ".join(parts[index] for index in different))
    return texts


def _parts(record: RunRecord) -> tuple[str, ...]:
    spec = record.spec
    settings = f"{spec.protocol.ways}-way", f"{spec.protocol.shots}-shot", f"seed {spec.seed}"
    return (spec.algorithm.name, spec.dataset.name, *settings)


def _conditions(tests: Sequence[Evaluation]) -> TransferConditions:
    protocols = [test.protocol for test in tests]
    return TransferConditions(
        _common([test.metric for test in tests]) or "",
        _common([_mode(test) for test in tests]) or "",
        _common([protocol.ways for protocol in protocols]),
        _common([protocol.queries for protocol in protocols]),
        _common([protocol.test_episodes for protocol in protocols]),
        _common([protocol.episode_seed for protocol in protocols]),
    )


def _common(values: Sequence[Value]) -> Value | None:
    """The value that all have; None if they differ, or there is none."""
    return values[0] if len(set(values)) == 1 else None


def _title(conditions: TransferConditions, tests: Sequence[Evaluation]) -> str:
    if not tests:
        return "Transfer: no cell has a score"
    ways = f"{conditions.ways}-way " if conditions.ways and conditions.ways > 1 else ""
    unit = f", {tests[0].unit}" if tests[0].unit else ""
    metric = f"{conditions.metric or 'the first metric of each test'}{unit}"
    return f"Transfer, {ways}test {metric}, {conditions.mode or 'the first mode of each test'}"


def _notes(cells: Sequence[TransferCell], tests: Sequence[Evaluation]) -> list[str]:
    if not tests:
        return []
    conditions = _conditions(tests)
    episodes = f"{conditions.test_episodes:,} episodes" if conditions.test_episodes else "the test episodes"
    queries = f" with {conditions.queries} queries per class" if conditions.queries else ""
    resized = {
        f"{cell.dataset} from {cell.evaluation.resized_from}": None
        for cell in cells
        if cell.evaluation is not None and cell.evaluation.resized_from
    }
    empty = len({(cell.record.name, cell.dataset, cell.shots) for cell in cells}) < (
        len({cell.record.name for cell in cells}) * len({(cell.dataset, cell.shots) for cell in cells})
    )
    notes = [
        f"Each cell: score ± 95 % confidence interval over {episodes}{queries}, of these test classes; gain over the "
        "untrained network with the same adaptation on the same episodes; test data.",
        f"Test data: {ABOUT}.",
        "An empty cell was not tested: without --shots, each model is tested with its own number of shots."
        if empty
        else "",
        f"Images resized and recolored to what the network takes: {', '.join(resized)}." if resized else "",
    ]
    return [*filter(None, notes), *_doubt_notes(cells)]


def _doubt_notes(cells: Sequence[TransferCell]) -> list[str]:
    """One line for each doubt, with the cells that have it."""
    places: dict[str, list[str]] = {}
    for cell in cells:
        where = f"{cell.record.spec.algorithm.name} of {cell.record.spec.dataset.name} on {cell.dataset}"
        for doubt in _doubts(cell.evaluation) if cell.evaluation is not None else ():
            places.setdefault(doubt, []).append(f"{where}, {cell.shots}-shot")
    return [f"{SIGN} {doubt}: {'; '.join(dict.fromkeys(where))}." for doubt, where in places.items()]
