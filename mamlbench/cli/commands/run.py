"""``mamlbench run``: train, test and record."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from mamlbench.cli import protocol_options
from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode
from mamlbench.run_spec.bounds import MOST, MOST_SEED, MOST_SEEDS

EPILOG = """\b
Examples:
  mamlbench run --algo maml
  mamlbench run --algo maml --dataset omniglot --data-dir ~/data
  mamlbench run --algo maml --algo fomaml --algo reptile --seeds 3
  mamlbench run --algo maml --shots 5 --iterations 300 -o inner_lr=0.3 -o backbone.width=32
  mamlbench run --algo maml --resume                         after a crash: goes on where it stood
  mamlbench run --algo meta-baseline --init results/NAME.json
  mamlbench run --algo protonet --train-ways 20 --train-queries 5
  mamlbench run --algo mine --plugin mine.py"""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.option(
    "--algo",
    "algorithms",
    multiple=True,
    required=True,
    type=shared.Registered("algorithm"),
    help="Algorithm; repeat for several.",
)
@click.option("--dataset", default="glyphs", show_default=True, type=shared.Registered("dataset"), help="Data set.")
@shared.min_images
@click.option("--backbone", type=shared.Registered("backbone"), help="Network.  [default: the data set's]")
@click.option(
    "--sampler",
    type=shared.Registered("sampler"),
    help="Which tasks to train on.  [default: the preset's, or fresh]",
)
@click.option(
    "--preset",
    default="quick",
    show_default=True,
    help="Settings by name: smoke (to see that it works), quick (a few minutes on a laptop), paper (as published); or "
    "those of a preset file, as FILE.toml or FILE.toml:NAME ('mamlbench tune' writes one).",
)
@click.option(
    "--init",
    type=shared.RecordPath(),
    metavar="RECORD",
    help="Start from this trained model (a run's record or folder): its features, and its head if that is the same. "
    "The network must be the same.  [default: a new network]",
)
@click.option("--iterations", type=click.IntRange(0, MOST), help="Meta-iterations.  [default: the preset's]")
@click.option("--meta-batch-size", type=click.IntRange(1, MOST), help="Tasks per iteration.  [default: the preset's]")
@protocol_options.ways()
@protocol_options.shots()
@protocol_options.queries()
@protocol_options.training
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, MOST_SEED), help="First training seed.")
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1, MOST_SEEDS), help="Number of training seeds."
)
@protocol_options.test_episodes()
@protocol_options.test_until()
@protocol_options.test_sampling()
@protocol_options.label_noise()
@protocol_options.imbalance()
@protocol_options.corrupt()
@click.option("--validation-episodes", type=click.IntRange(2, MOST), help="Episodes per validation.  [default: 200]")
@protocol_options.episode_seed()
@protocol_options.modes()
@protocol_options.metrics()
@click.option(
    "--keep-predictions", is_flag=True, help="Keep the outputs for every test query, next to the record (episodes.npz)."
)
@shared.plugin_options
@click.option(
    "--target",
    "target_score",
    type=float,
    help="Measure the time until validation reaches this score (0.9 for 90 %).",
)
@click.option(
    "--validate-every",
    type=click.IntRange(1, MOST),
    help="Iterations between validations.  [default: the preset's number of validations]",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(0, MOST),
    help="Iterations between checkpoints.  [default: at validations]",
)
@click.option(
    "--on-divergence",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="An update that is not finite ends the run (stop), or is left out and counted (skip).",
)
@click.option(
    "--allow-leak",
    is_flag=True,
    help="Run although splits of the data set share classes or images; every table and verdict is marked.",
)
@click.option("--label", default="", help="What the row is called in tables and figures.  [default: what differs]")
@click.option(
    "--checkpoint-seconds",
    type=click.FloatRange(min=0),
    help="Seconds between checkpoints, beside those at validations.  [default: 60; more for large networks]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run of the same settings that was interrupted or killed; one that finished is not run again.",
)
@shared.trackers
@shared.launcher
@shared.workers
@shared.device
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="How tasks are computed: auto (the fastest of those that agree with the loop), loop, vmap, vmap[8], "
    "vmap+remat, vmap+compiled, ...",
)
@shared.precision
@click.option(
    "--deterministic",
    is_flag=True,
    help="Use deterministic algorithms only: slower, and equal bit for bit on a GPU too.",
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
    trackers: tuple[str, ...],
    launcher: str | None,
    workers: int,
    resume: bool,
    as_json: bool,
    quiet: bool,
    min_images: int | None,
    **settings: Any,
) -> ExitCode:
    """Meta-train, select on validation episodes, meta-test, record, and print a table.

    Several algorithms and seeds run one after the other, each in a new process, unless --launcher or its options change
    this (-o launcher.max_parallel=2). The results are printed in one table.
    """
    run_options, launcher_options = shared.split_launcher_options(shared.with_min_images(options, min_images))
    session = session_of(context)
    plugins = session.plugins
    for kind, name in (*(("algorithm", name) for name in settings["algorithms"]), ("dataset", settings["dataset"])):
        plugins.registry.entry(kind, name)  # report a typo before importing torch, which takes seconds

    from mamlbench.progress.display import ProgressDisplay, progress
    from mamlbench.runner.launch import launch
    from mamlbench.runner.plan import make_request, plan
    from mamlbench.runner.ranks.rank_place import rank_place
    from mamlbench.runner.resuming import LATEST
    from mamlbench.user_config import folders

    settings |= {name: settings[name] or None for name in ("modes", "metrics")}
    if workers > 1:
        launcher_options = {"ranks": str(workers), **launcher_options}
    latest = LATEST if resume else None
    selected = shared.selected_launcher(launcher, launcher_options, plugins)
    specs = plan(make_request(options=run_options, **settings), plugins)
    locations = folders(session.config, data_dir=data_dir, results_dir=results_dir)
    if rank_place().rank > 0:  # the first process of the run writes and prints
        return shared.exit_code_of_rank(lambda: launch(specs, plugins, locations, launcher=selected, resume=latest))
    plugins.track((*session.config.trackers, *trackers), locations.results)
    if launcher and not quiet:
        click.echo(f"Launcher '{launcher}' gets {len(specs)} run{'s' * (len(specs) > 1)}.", err=True)
    with progress(plugins, ProgressDisplay(specs)) if not quiet else nullcontext():
        records = launch(specs, plugins, locations, launcher=selected, resume=latest)

    from mamlbench.cli.show import exit_code, show_records

    show_records(records, locations.results, as_json=as_json, missing=len(specs) - len(records))
    return exit_code(records)
