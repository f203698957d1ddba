"""``mamlbench tune``: give every method the same number of trials, and write presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mamlbench.cli import protocol_options
from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode
from mamlbench.run_spec.bounds import MOST, MOST_SEED


@click.command()
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
@click.option("--preset", default="quick", show_default=True, help="Settings of trial 0.")
@click.option("--budget", default=20, show_default=True, type=click.IntRange(1, MOST), help="Trials of each method.")
@click.option(
    "--length",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Part of the preset's iterations that a trial trains for.",
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
    "--seed", default=0, show_default=True, type=click.IntRange(0, MOST_SEED), help="Training seed of trials."
)
@click.option(
    "--sampler-seed", default=0, show_default=True, type=click.IntRange(0, MOST_SEED), help="Seed of the drawn options."
)
@shared.plugin_options
@shared.device
@shared.precision
@click.option("--engine", default="auto", show_default=True, help="How tasks are computed.")
@shared.data_dir
@shared.results_dir
@shared.plugin_files
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
    quiet: bool,
    **settings: Any,
) -> ExitCode:
    """Try the same number of settings of every method, on validation classes only."""
    session = session_of(context)
    plugins = session.plugins

    from mamlbench.runner.plan import make_request
    from mamlbench.runner.tuning.run_study import plan_studies, run_studies
    from mamlbench.user_config import folders

    settings |= {name: settings[name] or None for name in ("modes", "metrics")}
    request = make_request(options=shared.parse_options(options), **settings)
    locations = folders(session.config, data_dir=data_dir, results_dir=results_dir)
    studies = plan_studies(
        request, plugins, locations, sampler_seed=sampler_seed, length=length, validations=validations
    )
    for study, trial in run_studies(studies, budget, plugins, locations, _emit):
        click.echo(
            f"{study.name} {trial.trial}: {trial.status} {trial.score} {trial.options} {trial.wall_seconds}", err=True
        )
    return ExitCode.OK


def _emit(hook: str, **arguments: Any) -> None:
    pass
