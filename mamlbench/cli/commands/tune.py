"""``mamlbench tune``: give every method the same number of trials on validation classes, and write presets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import protocol_options
from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode
from mamlbench.run_spec.bounds import MOST, MOST_SEED
from mamlbench.run_spec.outside_text import file_name_of

if TYPE_CHECKING:
    from mamlbench.plugin import Plugins
    from mamlbench.report.tuning.study_result import StudyResult
    from mamlbench.run_spec import Folders
    from mamlbench.runner.tuning.run_study import Study

FIGURE_FORMATS = ("png", "pdf", "svg", "html")

EPILOG = """\b
Examples:
  mamlbench tune --algo maml --algo reptile --budget 20
  mamlbench tune --algo maml --algo reptile --length 0.2 -o backbone.width=16    shorter runs, a smaller network
  mamlbench tune --algo mine --plugin mine.py --output mine.toml --figure mine.png
  mamlbench run --algo maml --preset results/tuning/glyphs-5w1s-20.toml          the options that it chose
  mamlbench run --algo maml --preset results/tuning/glyphs-5w1s-20.toml:default  those that it began with
  mamlbench report --tuned                                                       test scores, default and tuned

\b
The same command again goes on where it was stopped; a larger --budget adds trials. Started several times
at once, also on machines that share the results folder, the processes share the trials (docs/tuning.md)."""


@click.command(epilog=EPILOG)
@click.option(
    "--algo",
    "algorithms",
    multiple=True,
    required=True,
    type=shared.Registered("algorithm"),
    help="Algorithm; repeat for several.",
)
@click.option("--dataset", default="glyphs", show_default=True, type=shared.Registered("dataset"), help="Data set.")
@click.option("--backbone", type=shared.Registered("backbone"), help="Network.  [default: the data set's]")
@click.option(
    "--sampler", default="fresh", show_default=True, type=shared.Registered("sampler"), help="Which tasks to train on."
)
@click.option("--preset", default="quick", show_default=True, help="Settings of trial 0, the default.")
@click.option(
    "--budget",
    default=20,
    show_default=True,
    type=click.IntRange(1, MOST),
    help="Trials of each method, the default's too.",
)
@click.option(
    "--length",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Part of the preset's iterations that each trial trains for, the same part for every method.",
)
@click.option("--validations", type=click.IntRange(1, MOST), help="Validations of a trial.  [default: the preset's]")
@click.option("--validation-episodes", type=click.IntRange(2, MOST), help="Episodes per validation.  [default: 200]")
@protocol_options.ways()
@protocol_options.shots()
@protocol_options.queries()
@protocol_options.episode_seed()
@protocol_options.modes()
@protocol_options.metrics()
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, MOST_SEED), help="Training seed of every trial."
)
@click.option(
    "--sampler-seed", default=0, show_default=True, type=click.IntRange(0, MOST_SEED), help="Seed of the drawn options."
)
@shared.plugin_options
@shared.device
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="How tasks are computed; auto chooses in trial 0, for all trials of the method.",
)
@shared.precision
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Preset file to write.  [default: tuning/DATASET-TASK-BUDGET.toml in the results folder]",
)
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw the expected best of n trials, as FILE.png, .pdf, .svg or .html (a page with the tables).",
)
@shared.data_dir
@shared.results_dir
@shared.plugin_files
@shared.as_json
@shared.quiet
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    options: tuple[str, ...],
    data_dir: Path | None,
    results_dir: Path | None,
    budget: int,
    length: float,
    validations: int | None,
    sampler_seed: int,
    output: Path | None,
    figure: Path | None,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> ExitCode:
    """Tune methods, each with the same number of trials, on validation classes only; write the presets found.

    A trial is a training run without a test. Trial 0 has the options of the preset, the others draw the options for
    which the method declares values to try ('mamlbench info NAME' lists them); those given by -o stay as they are.
    The option file that it writes is for 'mamlbench run --preset FILE'.
    """
    _check_figure(figure)
    session = session_of(context)
    plugins = session.plugins
    for kind, name in (*(("algorithm", name) for name in settings["algorithms"]), ("dataset", settings["dataset"])):
        plugins.registry.entry(kind, name)  # report a typo before importing torch, which takes seconds

    from mamlbench.runner.plan import make_request
    from mamlbench.runner.tuning.run_study import FOLDER, TrialScale, plan_studies
    from mamlbench.user_config import folders

    settings |= {name: settings[name] or None for name in ("modes", "metrics")}
    request = make_request(options=shared.parse_options(options), **settings)
    locations = folders(session.config, data_dir=data_dir, results_dir=results_dir)
    scale = TrialScale(length, validations)
    studies = plan_studies(request, plugins, locations, scale, sampler_seed=sampler_seed)
    _run(studies, budget, plugins, locations, quiet=quiet)

    from mamlbench.cli.tuning_display import print_results, results_as_json
    from mamlbench.report.tuning.study_result import StudyResult

    results = [StudyResult.of(study.header, study.trials, budget) for study in studies]
    output = output or locations.results / FOLDER / f"{_task(studies)}-{budget}.toml"
    _write_presets(results, plugins, output)
    if as_json:
        click.echo(results_as_json(results, output))
    else:
        print_results(results)
    if figure is not None:
        _draw(results, figure)
    return ExitCode.OK if any(result.curve for result in results) else ExitCode.RUN_FAILED


def _run(studies: Sequence[Study], budget: int, plugins: Plugins, locations: Folders, *, quiet: bool) -> None:
    from mamlbench.cli.tuning_display import QuietListener, TuningDisplay
    from mamlbench.runner.tuning.run_study import run_studies

    display = TuningDisplay(studies, budget)
    try:
        listener = QuietListener() if quiet else display
        with closing(run_studies(studies, budget, plugins, locations, listener)) as trials:
            for study, trial in trials:
                if not quiet:
                    display.ended(study, trial)
    except KeyboardInterrupt:
        display.close()
        click.echo("Run the same command again to go on.", err=True)
        raise
    finally:
        display.close()


def _task(studies: Sequence[Study]) -> str:
    spec = studies[0].header.spec
    return file_name_of(f"{spec.dataset.name}-{spec.protocol.ways}w{spec.protocol.shots}s")


def _write_presets(results: Sequence[StudyResult], plugins: Plugins, output: Path) -> None:
    from mamlbench.run_spec.preset_file import preset_file_text
    from mamlbench.runner.tuning.tuned_presets import tuned_presets

    comment = (
        "Written by 'mamlbench tune'. For each method: the options that were tuned, and those that it began with.\n"
        "Use: mamlbench run --algo NAME --preset THIS_FILE; with :default after the file for the latter."
    )
    presets = [
        preset for result in results for preset in tuned_presets(result.header, result.trials, result.chosen, plugins)
    ]
    _write(output, preset_file_text(presets, comment).encode(), "--output")


def _check_figure(figure: Path | None) -> None:
    if figure is not None and figure.suffix.removeprefix(".") not in FIGURE_FORMATS:
        raise ConfigError(
            f"'{figure}': the name of a figure ends in {', '.join(f'.{name}' for name in FIGURE_FORMATS)}."
        )


def _draw(results: Sequence[StudyResult], figure: Path) -> None:
    format_ = figure.suffix.removeprefix(".")
    if format_ == "html":
        from mamlbench.report.page.tuning_page import render_tuning_page

        content = render_tuning_page(results).encode()
    else:
        from mamlbench.report.tuning.best_of_figure import save_best_of

        content = save_best_of(results, format_)
    _write(figure, content, "--figure")


def _write(path: Path, content: bytes, flag: str) -> None:
    from mamlbench.atomic_write import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be written ({error.strerror}). Choose another with {flag}.") from error
    click.echo(f"Written: {path}", err=True)
