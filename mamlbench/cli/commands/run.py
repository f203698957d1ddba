"""``mamlbench run``: the main job."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from mamlbench.cli import protocol_options
from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode

EPILOG = """\b
Examples:
  mamlbench run --algo maml
  mamlbench run --algo maml --dataset omniglot --data-dir ~/data
  mamlbench run --algo maml --algo fomaml --algo reptile --seeds 3
  mamlbench run --algo maml --shots 5 --iterations 300 -o inner_lr=0.3 -o backbone.width=32
  mamlbench run --algo protonet --train-ways 20 --train-queries 5
  mamlbench run --algo mine --plugin mine.py"""


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
@click.option(
    "--preset",
    default="quick",
    show_default=True,
    help="Settings by name: quick (a laptop's few minutes), paper (as published).",
)
@click.option("--iterations", type=click.IntRange(min=0), help="Meta-iterations.  [default: the preset's]")
@click.option("--meta-batch-size", type=click.IntRange(min=1), help="Tasks per iteration.  [default: the preset's]")
@protocol_options.ways()
@protocol_options.shots()
@protocol_options.queries()
@protocol_options.training
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="First training seed.")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(min=1), help="Number of training seeds.")
@protocol_options.test_episodes()
@click.option("--validation-episodes", type=click.IntRange(min=2), help="Episodes per validation.  [default: 200]")
@protocol_options.episode_seed()
@protocol_options.modes()
@protocol_options.metrics()
@click.option(
    "--keep-predictions", is_flag=True, help="Keep the outputs for every test query, beside the record (episodes.npz)."
)
@shared.plugin_options
@click.option(
    "--target",
    "target_score",
    type=float,
    help="Time how long it takes until validation reaches this score (0.9 for 90 %).",
)
@click.option(
    "--validate-every",
    type=click.IntRange(min=1),
    help="Iterations between validations.  [default: the preset's number of validations]",
)
@click.option(
    "--checkpoint-every", type=click.IntRange(min=0), help="Iterations between checkpoints.  [default: at validations]"
)
@click.option(
    "--track",
    "trackers",
    multiple=True,
    type=shared.Registered("tracker"),
    help="Send curves to tensorboard or mlflow as well (an extra each); repeat for several.",
)
@shared.launcher
@shared.device
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="How tasks are computed: auto (checked, and timed where that pays), loop, vmap, vmap[8], "
    "vmap+remat, vmap+compiled, ...",
)
@shared.precision
@shared.data_dir
@shared.results_dir
@shared.plugin_files
@shared.as_json
@click.option("-q", "--quiet", is_flag=True, help="No progress display.")
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
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> ExitCode:
    """Meta-train, select on validation episodes, meta-test, record, and print a table.

    Several algorithms and seeds run one after the other, each in a process of its own, unless --launcher or its options
    say otherwise (-o launcher.max_parallel=2), and end in one table.
    """
    wanted, of_launcher = shared.without_launcher(shared.parse_options(options))
    session = session_of(context)
    plugins = session.plugins
    for kind, name in (*(("algorithm", each) for each in given["algorithms"]), ("dataset", given["dataset"])):
        plugins.registry.entry(kind, name)  # a slip is told before torch is imported, which takes seconds

    from mamlbench.cli.progress import progress
    from mamlbench.runner.launch import launch
    from mamlbench.runner.plan import plan, request
    from mamlbench.user_config import folders

    given |= {name: given[name] or None for name in ("modes", "metrics")}
    chosen = shared.chosen_launcher(launcher, of_launcher, plugins)
    specs = plan(request(options=wanted, **given), plugins)
    places = folders(session.project, data_dir=data_dir, results_dir=results_dir)
    plugins.track((*session.project.trackers, *trackers), places.results)
    if launcher and not quiet:
        click.echo(f"Launcher '{launcher}' gets {len(specs)} run{'s' * (len(specs) > 1)}.", err=True)
    with progress(plugins) if not quiet else nullcontext():
        records = launch(specs, plugins, places, launcher=chosen)

    from mamlbench.cli.show import show_records

    show_records(records, places.results, as_json=as_json, missing=len(specs) - len(records))
    return _exit_code({record.status for record in records})


def _exit_code(statuses: set[str]) -> ExitCode:
    if "interrupted" in statuses:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if statuses == {"finished"} else ExitCode.RUN_FAILED
