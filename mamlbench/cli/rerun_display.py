"""``mamlbench compare --rerun-base``: both sides are run again by turns, and those runs are judged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from mamlbench.cli.suite_display import duration
from mamlbench.errors import ConfigError, NothingToDoError
from mamlbench.plugin import Plugins
from mamlbench.record import RunRecord
from mamlbench.report import LoadedRecords, read_records
from mamlbench.report.gate.configurations import Configuration, pair_configurations
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.reruns.git_revision import checked_out
from mamlbench.runner.reruns.rerun import SIDES, CellSpecs, Turn, order_turns, rerun
from mamlbench.runner.suites.completed_runs import START_SECONDS


def rerun_sides(
    base: LoadedRecords,
    head: LoadedRecords,
    revision: str,
    plugins: Plugins,
    places: Folders,
    *,
    repeats: int,
    folder: Path | None,
) -> tuple[LoadedRecords, LoadedRecords]:
    """Run the cells that both sides have again; return what is to be judged in place of their records.

    Cells that one side lacks keep their records. Where BASE has none at all, HEAD's specs are run with its code.

    Args:
        base: records of BASE, or none.
        head: records of HEAD.
        revision: where BASE's code is.
        plugins: the present ones.
        places: where data lies.
        repeats: runs of each cell on either side, at least.
        folder: where records are kept, in ``base/`` and ``head/``; None: nowhere.
    """
    given = head.records if not base.records else base.records
    pairs = [(pair.base, pair.head) for pair in pair_configurations(given, head.records)]
    cells = [(left, right) for left, right in pairs if left is not None and right is not None]
    ordered = order_turns([CellSpecs(_specs(left), _specs(right)) for left, right in cells], repeats)
    if not ordered:
        raise NothingToDoError("BASE and HEAD have no cell in common: there is nothing to run again.")
    done = [run for pair in cells for cell in pair for run in cell.row.runs]
    _announce(ordered, done, revision)
    with checked_out(revision, plugins) as both, _kept(folder) as kept:
        where = {side: places.model_copy(update={"results": kept / side.lower()}) for side in SIDES}
        problems = list(rerun(ordered, dict(zip(SIDES, both, strict=True)), where, _teller(len(ordered))))
        fresh = [_read_if_any(where[side].results) for side in SIDES]
    _warn_of_equal_code(*fresh)
    replaced = set(map(id, done))
    sides = []
    for side, old, new in zip(SIDES, (base, head), fresh, strict=True):
        records = [run for run in old.records if id(run) not in replaced] + new.records
        failed = [problem for problem in problems if problem.startswith(side)]
        sides.append(LoadedRecords(records, [*old.problems, *new.problems, *failed], []))
    return sides[0], sides[1]


def revision_of(records: Sequence[RunRecord]) -> str:
    """The revision whose code made all of these records. Raises ConfigError where they do not say one."""
    found = {record.environment.git_revision for record in records}
    if len(found) == 1 and not any(each.endswith("-dirty") or not each for each in found):
        return found.pop()
    what = (
        "has no records"
        if not records
        else "was made by more than one revision"
        if len(found) > 1
        else "was made by code that is no commit"
    )
    raise ConfigError(f"BASE {what}: say with --base-revision which revision's code to run it with.")


def _specs(cell: Configuration) -> list[RunSpec]:
    """One for each training seed, in order of seed."""
    found = {run.spec.seed: run.spec for run in cell.row.runs}
    return [found[seed] for seed in sorted(found)]


def _announce(ordered: Sequence[Turn], runs: Sequence[RunRecord], revision: str) -> None:
    """Say what will be run, and how long that takes where records say it."""
    took = {run.spec_hash: run.measurement.wall_seconds for run in runs if run.measurement is not None}
    seconds = [took[turn.spec.hash] + START_SECONDS for turn in ordered if turn.spec.hash in took]
    about = f", about {duration(sum(seconds) * len(ordered) / len(seconds))}" if seconds else ""
    click.echo(f"{len(ordered)} runs by turns, BASE with the code of {revision}{about}.", err=True)


def _teller(count: int) -> Callable[[int, Turn], None]:
    return lambda number, turn: click.echo(f"{number + 1}/{count} {turn}", err=True)


def _read_if_any(folder: Path) -> LoadedRecords:
    return read_records([folder]) if folder.is_dir() else LoadedRecords([], [], [])


def _warn_of_equal_code(base: LoadedRecords, head: LoadedRecords) -> None:
    codes = [{run.environment.code_hash for run in side.records} for side in (base, head)]
    if codes[0] & codes[1]:
        click.echo("BASE and HEAD were run with the same code.", err=True)


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mamlbench-rerun-") as name:
        yield Path(name)
