"""``mamlbench adapt``: a trained model on your own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError
from mamlbench.spec import MODES

if TYPE_CHECKING:
    from mamlbench.record import Adaptation

SHOWN = 20
"""Labels printed; the CSV has all."""

EPILOG = """\b
The folder:
  FOLDER/cat/*.jpg         a few pictures of each class, in a folder with its name
  FOLDER/dog/*.jpg
  FOLDER/unlabelled/*.jpg  those to be labelled
  FOLDER/test/cat/*.jpg    optional: labelled pictures held out, to say how well it does

\b
Examples:
  mamlbench adapt results/NAME.json pets
  mamlbench adapt results/NAME.json pets --hold-out 2 --output labels
  mamlbench adapt results/NAME/model.json pets --steps 20 --json"""


@click.command(epilog=EPILOG)
@click.argument("model", type=shared.RecordPath())
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--hold-out", default=0, type=click.IntRange(min=0), metavar="N",
              help="Hold N pictures of each class out, and say how many of them are labelled right.")  # fmt: skip
@shared.steps
@click.option("--mode", type=click.Choice(MODES), default="inductive", show_default=True,
              help="How batch norm sees the pictures; transductive lets them see each other.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, file_okay=False),
              help="Where predictions.csv and contact-sheet.png go.  [default: FOLDER]")  # fmt: skip
@shared.algorithm_options
@shared.device
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context, /, *, model: Path, folder: Path, steps: int | None, options: tuple[str, ...],
    output: Path | None, data_dir: Path | None, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Fine-tune MODEL on the few labelled pictures of FOLDER, and label those in FOLDER/unlabelled.

    MODEL is a run's record, its folder, or its model.json. Pictures are brought to the size, channels, ink and
    normalisation of the data set it was trained on, which must be at hand. The labels go into predictions.csv, with
    the probability of each class, and onto contact-sheet.png.
    """
    changed = shared.with_steps(options, steps)
    session = session_of(context)
    plugins = session.plugins

    from mamlbench.cli.show import working
    from mamlbench.project import folders
    from mamlbench.runner import adapt_model

    places = folders(session.project, data_dir=data_dir)
    with working(f"Adapting {model}"):
        adaptation = adapt_model(model, folder, plugins, places, options=changed, **given)
    written = _write(adaptation, output or folder)
    if as_json:
        click.echo(adaptation.model_dump_json(indent=1))
    else:
        _show(adaptation)
    click.echo(f"Written: {' and '.join(map(str, written))}", err=True)


def _write(adaptation: Adaptation, folder: Path) -> tuple[Path, Path]:
    from mamlbench.report.adaptation import predictions_csv
    from mamlbench.report.contact_sheet import contact_sheet

    table, sheet = folder / "predictions.csv", folder / "contact-sheet.png"
    drawn = contact_sheet(adaptation)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table.write_text(predictions_csv(adaptation), encoding="utf-8")
        drawn.save(sheet)
    except OSError as error:
        raise ConfigError(f"'{folder}' cannot be written ({error.strerror}): choose another with --output.") from error
    return table, sheet


def _show(adaptation: Adaptation) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import console, table
    from mamlbench.report.adaptation import in_words

    rows = table("picture", "label", "probability")
    labelled = adaptation.used_as("unlabelled")
    for picture in labelled[:SHOWN]:
        rows.add_row(escape(picture.file), escape(str(picture.label)), f"{100 * picture.probability:.0f} %")
    if labelled:
        console().print(rows)
    if len(labelled) > SHOWN:
        click.echo(f"{len(labelled) - SHOWN} more are in predictions.csv.")
    for line in in_words(adaptation):
        click.echo(line)
