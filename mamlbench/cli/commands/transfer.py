"""``mamlbench transfer``: trained models on several data sets, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import protocol_options
from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode, NothingToDoError
from mamlbench.run_spec.bounds import MOST

if TYPE_CHECKING:
    from mamlbench.record.stored_evaluation import TransferCell
    from mamlbench.runner.transfer import TrainedRun, TransferMatrix

FORMATS = ("table", "md", "latex", "csv", "json", "svg", "html")

EPILOG = """\b
Examples:
  mamlbench transfer results/A.json results/B.json --dataset omniglot --dataset glyphs --shots 1 --shots 5
  mamlbench transfer results --dataset omniglot --dataset miniimagenet --data-dir ~/data
  mamlbench transfer --dataset glyphs --test-episodes 2000 --format latex --output transfer.tex
  mamlbench transfer --dataset folder --data-dir pets --steps 10 --format html --output transfer.html

\b
The same command again computes only the cells that are missing.
Exit codes: 0 the table is shown, also if some cells have a reason instead of a score; 5 if all do."""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("models", nargs=-1, type=shared.RecordPath())
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    type=shared.Registered("dataset"),
    help="Data set to test on; repeat for several.  [default: those that the models were trained on]",
)
@click.option(
    "--shots",
    multiple=True,
    type=click.IntRange(1, MOST),
    help="Support examples per class; repeat for several.  [default: as in each run]",
)
@protocol_options.ways(protocol_options.AS_IN_THE_RUN)
@protocol_options.queries(protocol_options.AS_IN_THE_RUN)
@shared.steps
@protocol_options.test_episodes(protocol_options.AS_IN_THE_RUN)
@protocol_options.test_until(protocol_options.AS_IN_THE_RUN)
@protocol_options.test_sampling(protocol_options.AS_IN_THE_RUN)
@protocol_options.episode_seed(protocol_options.AS_IN_THE_RUN)
@protocol_options.modes(protocol_options.AS_IN_THE_RUN)
@protocol_options.metrics(protocol_options.AS_IN_THE_RUN)
@shared.tested_options
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="Output.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@shared.device
@shared.data_dir
@shared.plugin_files
@shared.quiet
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    models: tuple[Path, ...],
    datasets: tuple[str, ...],
    shots: tuple[int, ...],
    steps: int | None,
    modes: tuple[Any, ...],
    metrics: tuple[str, ...],
    options: tuple[str, ...],
    format_: str,
    output: Path | None,
    device: str,
    data_dir: Path | None,
    quiet: bool,
    **protocol: Any,
) -> ExitCode:
    """Test MODELS (records, or folders of records; by default the results folder) on several data sets, in one table.

    Each cell has the score, the gain over the untrained network and whether the test classes were seen in training: a
    test as by 'mamlbench evaluate --dataset OTHER --resize', stored beside the model and not computed again. Several
    modes or metrics are all stored; the table shows the first. A cell that cannot be computed says why.
    """
    changed = shared.with_steps(options, steps)
    session = session_of(context)
    plugins = session.plugins
    results = session.config.results_dir or Path("results")
    runs = _trained_runs(models or ((results,) if results.exists() else ()))

    from mamlbench.runner.transfer import TransferMatrix
    from mamlbench.user_config import folders

    protocol |= {"modes": modes or None, "metrics": metrics or None}
    matrix = TransferMatrix(
        runs,
        tuple(dict.fromkeys(datasets or (run.record.spec.dataset.name for run in runs))),
        tuple(dict.fromkeys(shots)),
        {name: value for name, value in protocol.items() if value is not None},
        changed,
        plugins,
        folders(session.config, data_dir=data_dir),
        device,
    )
    cells = _compute(matrix, quiet=quiet)
    _show(cells, format_, output)
    return ExitCode.OK if any(cell.evaluation is not None for cell in cells) else ExitCode.NOTHING


def _trained_runs(paths: Sequence[Path]) -> list[TrainedRun]:
    """Read the finished runs among files and folders that left a model; others are reported and skipped."""
    from mamlbench.report import read_records
    from mamlbench.runner.transfer import TrainedRun

    loaded = read_records([_record_of(path) for path in paths])
    for problem in loaded.problems:
        click.echo(f"Skipped: {problem}", err=True)
    runs = [TrainedRun(record, path) for record, path in zip(loaded.records, loaded.files, strict=True)]
    for run in runs:
        if run.record.status != "finished" or run.record.model is None:
            why = "it left no model" if run.record.status == "finished" else f"its run is {run.record.status}"
            click.echo(f"Skipped: {run.record.name}: {why}.", err=True)
    trained = [run for run in runs if run.record.status == "finished" and run.record.model is not None]
    if not trained:
        raise NothingToDoError("There is no finished run with a model to test. 'mamlbench run' makes one.")
    return trained


def _record_of(path: Path) -> Path:
    """The record of a run whose folder of files is named; otherwise the path itself."""
    record = path.resolve().with_name(f"{path.resolve().name}.json")
    return record if (path / "model.json").is_file() and record.is_file() else path


def _compute(matrix: TransferMatrix, *, quiet: bool) -> list[TransferCell]:
    """Compute or read all cells, with a bar on a terminal."""
    from mamlbench.progress.preparation import counted

    cells: list[TransferCell] = []
    with counted("Transfer", matrix.size, quiet=quiet) as (advance, preparation):
        matrix.progress = preparation
        try:
            for cell in matrix.cells():
                cells.append(cell)
                advance(f"{cell.record.spec.algorithm.name} on {cell.dataset}, {cell.shots}-shot")
        except KeyboardInterrupt:
            click.echo(f"{len(cells)} of {matrix.size} cells are done; the same command again goes on.", err=True)
            raise
        finally:
            preparation.close()
    for problem in matrix.problems:
        click.echo(problem, err=True)
    if not quiet:
        stored = sum(cell.evaluation is not None and not cell.computed for cell in cells)
        computed = sum(cell.computed for cell in cells)
        failed = len(cells) - stored - computed
        text = f"{computed} of {len(cells)} cells computed, {stored} read from earlier tests"
        click.echo(f"{text}{f', {failed} without a score' if failed else ''}.", err=True)
    return cells


def _show(cells: Sequence[TransferCell], format_: str, output: Path | None) -> None:
    from mamlbench.cli.table_output import show_tables, write_content
    from mamlbench.report.transfer.transfer_table import transfer_table

    table = transfer_table(cells)
    if format_ == "html":
        from mamlbench.report.page.transfer_page import render_transfer_page

        write_content(render_transfer_page(table), output)
        return
    show_tables([table], format_, output)
