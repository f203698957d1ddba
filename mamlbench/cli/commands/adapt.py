"""``mamlbench adapt``: adapts a trained model to your own images, and labels them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, DataError
from mamlbench.run_spec import MODES
from mamlbench.run_spec.bounds import MOST

if TYPE_CHECKING:
    from mamlbench.record import Adaptation

FOLDER, TABLE = "adapted", "predictions.csv"
"""Folder below the results, and the table in it, that are written unless the user names another folder."""

MAX_ROWS = 20
"""Labels printed; the CSV has all."""

EPILOG = """\b
The folder:
  FOLDER/cat/*.jpg         a few images of each class, in a folder with its name
  FOLDER/dog/*.jpg
  FOLDER/unlabeled/*.jpg   the images to be labeled
  FOLDER/test/cat/*.jpg    optional: held-out images of each class, to measure the accuracy

\b
Examples:
  mamlbench adapt results/NAME.json pets
  mamlbench adapt results/NAME.json pets --hold-out 2 --output labels
  mamlbench adapt results/NAME.json pets --sort-into sorted
  mamlbench adapt results/NAME.json pets --corrections results/adapted/pets/predictions.csv
  mamlbench adapt results/NAME/model.json pets --steps 20 --json"""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("model", type=shared.RecordPath())
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--hold-out",
    default=0,
    type=click.IntRange(0, MOST),
    metavar="N",
    help="Hold out N images of each class, and report how many of them are labeled correctly.",
)
@shared.steps
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="inductive",
    show_default=True,
    help="How batch norm treats the images; with transductive their labels depend on each other.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for predictions.csv and contact-sheet.png, outside FOLDER.  [default: adapted/NAME in the results]",
)
@click.option(
    "--sort-into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Copy the labeled images to DIR/CLASS, unsure ones to DIR/_unsure/CLASS. No file is overwritten.",
)
@click.option(
    "--unsure-below",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    metavar="P",
    help="Mark labels of a smaller probability as unsure.",
)
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Learn from the right classes in the column 'correction' of an earlier predictions.csv too.",
)
@shared.algorithm_options
@shared.device
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    model: Path,
    folder: Path,
    steps: int | None,
    options: tuple[str, ...],
    output: Path | None,
    sort_into: Path | None,
    corrections: Path | None,
    data_dir: Path | None,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Adapt MODEL to the labeled images of FOLDER, and label those in FOLDER/unlabeled.

    MODEL is a run's record, its folder, or its model.json. Images are converted to the size, channels, polarity and
    normalization that it was trained with; the training data are not needed. The labels go into predictions.csv, with
    the probability of each class, and onto contact-sheet.png. Nothing is written into FOLDER, and damaged images are
    left out and named.
    """
    changed = shared.with_steps(options, steps)
    session = session_of(context)
    plugins = session.plugins

    from mamlbench.cli.show import working
    from mamlbench.runner.adapt.adapt_model import adapt_model
    from mamlbench.user_config import folders

    locations = folders(session.config, data_dir=data_dir)
    output = output or locations.results / FOLDER / (folder.resolve().name or "images")
    _refuse_losses(folder, output, sort_into, corrections)
    with working(f"Adapting {model}"):
        adaptation = adapt_model(
            model, folder, plugins, locations, options=changed, corrections=corrections, **arguments
        )
    written = [*_write(adaptation, output), *_sort(adaptation, sort_into)]
    if as_json:
        click.echo(adaptation.model_dump_json(indent=1))
    else:
        _show(adaptation)
    click.echo(f"Written: {' and '.join(map(str, written))}", err=True)


def _refuse_losses(folder: Path, output: Path, sort_into: Path | None, corrections: Path | None) -> None:
    """Raise ConfigError if something would be written into FOLDER, or over corrections that are not read."""
    from mamlbench.runner.adapt.corrections import read_corrections
    from mamlbench.runner.adapt.sort_images import refuse_inside

    refuse_inside(output, folder, "--output")
    if sort_into is not None:
        refuse_inside(sort_into, folder, "--sort-into")
    table = output / TABLE
    if not table.is_file() or (corrections is not None and corrections.resolve() == table.resolve()):
        return
    try:
        unread = len(read_corrections(table))
    except DataError:  # of an earlier release
        return
    if unread:
        raise ConfigError(
            f"'{table}' has {unread:,} corrections, which would be lost: use them with --corrections '{table}', or "
            "choose another folder with --output."
        )


def _sort(adaptation: Adaptation, sort_into: Path | None) -> list[str]:
    from mamlbench.runner.adapt.sort_images import sort_images

    return [] if sort_into is None else [f"{sort_images(adaptation, sort_into):,} images in {sort_into}"]


def _write(adaptation: Adaptation, folder: Path) -> tuple[Path, Path]:
    from mamlbench.report.adaptation.contact_sheet import contact_sheet
    from mamlbench.report.adaptation.predictions import predictions_csv

    table, sheet = folder / TABLE, folder / "contact-sheet.png"
    drawn = contact_sheet(adaptation)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table.write_text(predictions_csv(adaptation), encoding="utf-8")
        drawn.save(sheet)
    except OSError as error:
        raise ConfigError(f"'{folder}' cannot be written ({error.strerror}). Choose another with --output.") from error
    return table, sheet


def _show(adaptation: Adaptation) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console
    from mamlbench.report.adaptation.predictions import summary_lines

    rows = table("image", "label", "probability")
    labeled = adaptation.used_as("unlabeled")
    for image in labeled[:MAX_ROWS]:
        rows.add_row(
            escape(image.file),
            escape(str(image.label)),
            f"{100 * image.probability:.0f} %{' (unsure)' * adaptation.is_unsure(image)}",
        )
    if labeled:
        console().print(rows)
    if len(labeled) > MAX_ROWS:
        click.echo(f"{len(labeled) - MAX_ROWS} more are in predictions.csv.")
    for line in summary_lines(adaptation):
        click.echo(line)
