"""``mamlbench compare --rerun-base``: run both sides again in alternation, and compare the new runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.errors import ConfigError, NothingToDoError
from mamlbench.plugin import Plugins
from mamlbench.progress.display import duration
from mamlbench.record import RunRecord
from mamlbench.report import LoadedRecords, read_records
from mamlbench.report.gate.configurations import Configuration, pair_configurations
from mamlbench.report.table.groups import training_key
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.reruns.git_revision import checked_out
from mamlbench.runner.reruns.rerun import SIDES, CellSpecs, Turn, order_turns, rerun
from mamlbench.runner.suites.completed_runs import START_SECONDS

if TYPE_CHECKING:
    from mamlbench.cli.session import Session


def rerun_sides(
    base: LoadedRecords,
    head: LoadedRecords,
    revision: str,
    plugins: Plugins,
    locations: Folders,
    *,
    repeats: int,
    folder: Path | None,
) -> tuple[LoadedRecords, LoadedRecords]:
    """Run the configurations that both sides have again, and return the records of both sides with the new runs.

    Configurations that one side lacks keep their records. If BASE has no records, HEAD's specs run with BASE's code.

    Args:
        base: records of BASE, or none.
        head: records of HEAD.
        revision: git revision of BASE's code.
        plugins: the plugins of HEAD.
        locations: folders of data and results.
        repeats: minimum number of runs of each configuration per side.
        folder: where to keep the records, in ``base/`` and ``head/``; None to discard them.
    """
    pairs = [(pair.base, pair.head) for pair in pair_configurations(base.records or head.records, head.records)]
    shared = [(left, right) for left, right in pairs if left is not None and right is not None]
    ordered = order_turns([CellSpecs(_specs(left), _specs(right)) for left, right in shared], repeats)
    old_runs = [run for pair in shared for configuration in pair for run in configuration.row.runs]
    rerun_records = _run_in_turns(ordered, old_runs, revision, plugins, locations, folder=folder)
    replaced = set(map(id, old_runs))
    sides = []
    for old, new in zip((base, head), rerun_records, strict=True):
        records = [run for run in old.records if id(run) not in replaced] + new.records
        sides.append(LoadedRecords(records, [*old.problems, *new.problems], []))
    return sides[0], sides[1]


def run_suite_on_both(
    suite: Path, revision: str, session: Session, locations: Folders, *, repeats: int, folder: Path | None
) -> tuple[LoadedRecords, LoadedRecords]:
    """Run every cell of a suite file with both codes in alternation, and return the records of both sides.

    The arguments are as in ``rerun_sides``; the session loads the plugins, those of the suite too.
    """
    from mamlbench.runner.suites.run_suite import plan_suite
    from mamlbench.suite import read_suite

    suite_file = read_suite(suite)
    plugins = session.plugins_with(tuple(path.resolve() for path in suite_file.plugins))
    planned = plan_suite(suite_file, plugins, locations, fresh=True)
    by_cell: dict[str, list[RunSpec]] = {}
    for cell in planned.cells:
        by_cell.setdefault(training_key(cell.spec), []).append(cell.spec)
    ordered = order_turns([CellSpecs(specs, specs) for specs in by_cell.values()], repeats)
    return _run_in_turns(ordered, [], revision, plugins, locations, folder=folder)


def _run_in_turns(
    ordered: Sequence[Turn],
    old_runs: Sequence[RunRecord],
    revision: str,
    plugins: Plugins,
    locations: Folders,
    *,
    folder: Path | None,
) -> tuple[LoadedRecords, LoadedRecords]:
    """Run the turns of both sides, and return their records; ``old_runs`` estimate how long that takes."""
    if not ordered:
        raise NothingToDoError("BASE and HEAD have no configuration in common, so there is nothing to run again.")
    _announce(ordered, old_runs, revision)
    with checked_out(revision, plugins) as codes, _results_folder(folder) as results:
        folders = {side: locations.model_copy(update={"results": results / side.lower()}) for side in SIDES}
        problems = list(rerun(ordered, dict(zip(SIDES, codes, strict=True)), folders, _progress(len(ordered))))
        base, head = (_read_if_any(folders[side].results) for side in SIDES)
    _warn_if_same_code(base, head)
    for side, loaded in zip(SIDES, (base, head), strict=True):
        loaded.problems.extend(problem for problem in problems if problem.startswith(side))
    return base, head


def revision_of(records: Sequence[RunRecord]) -> str:
    """Return the git revision that made all of these records. Raises ConfigError if there is not exactly one."""
    revisions = {record.environment.git_revision for record in records}
    if len(revisions) == 1 and not any(revision.endswith("-dirty") or not revision for revision in revisions):
        return revisions.pop()
    if not records:
        reason = "has no records"
    elif len(revisions) > 1:
        reason = "was made by more than one revision"
    else:
        reason = "was made by uncommitted code"
    raise ConfigError(f"BASE {reason}. Name the revision of its code with --base-revision.")


def _specs(configuration: Configuration) -> list[RunSpec]:
    """Return one spec per training seed, in order of seed."""
    by_seed = {run.spec.seed: run.spec for run in configuration.row.runs}
    return [by_seed[seed] for seed in sorted(by_seed)]


def _announce(ordered: Sequence[Turn], runs: Sequence[RunRecord], revision: str) -> None:
    """Print what will be run, and how long it will take if records allow an estimate."""
    durations = {run.spec_hash: run.measurement.wall_seconds for run in runs if run.measurement is not None}
    seconds = [durations[turn.spec.hash] + START_SECONDS for turn in ordered if turn.spec.hash in durations]
    estimate = f", about {duration(sum(seconds) * len(ordered) / len(seconds))}" if seconds else ""
    click.echo(f"{len(ordered)} runs in alternation, BASE with the code of {revision}{estimate}.", err=True)


def _progress(count: int) -> Callable[[int, Turn], None]:
    return lambda index, turn: click.echo(f"{index + 1}/{count} {turn}", err=True)


def _read_if_any(folder: Path) -> LoadedRecords:
    return read_records([folder]) if folder.is_dir() else LoadedRecords([], [], [])


def _warn_if_same_code(base: LoadedRecords, head: LoadedRecords) -> None:
    codes = [{run.environment.code_hash for run in side.records} for side in (base, head)]
    if codes[0] & codes[1]:
        click.echo("BASE and HEAD were run with the same code.", err=True)


@contextmanager
def _results_folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mamlbench-rerun-") as name:
        yield Path(name)
