"""``mamlbench evaluate``: test a trained model again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mamlbench.cli import protocol_options
from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.run_spec import Precision

EPILOG = """\b
Examples:
  mamlbench evaluate results/NAME.json --queries 15
  mamlbench evaluate results/NAME.json --steps 10 --test-episodes 2000
  mamlbench evaluate results/NAME.json --dataset miniimagenet --resize
  mamlbench evaluate results/NAME.json --label-noise 0.2 --corrupt noise:0.3
  mamlbench evaluate results/NAME.json --dataset folder --data-dir pets -o dataset.image_size=28
  mamlbench evaluate results/NAME/model.json --mode support+query --json"""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("model", type=shared.RecordPath())
@click.option("--dataset", type=shared.Registered("dataset"), help="Data set to test on.  [default: that of the run]")
@protocol_options.ways(protocol_options.AS_IN_THE_RUN)
@protocol_options.shots(protocol_options.AS_IN_THE_RUN)
@protocol_options.queries(protocol_options.AS_IN_THE_RUN)
@shared.steps
@protocol_options.test_episodes(protocol_options.AS_IN_THE_RUN)
@protocol_options.test_until(protocol_options.AS_IN_THE_RUN)
@protocol_options.test_sampling(protocol_options.AS_IN_THE_RUN)
@protocol_options.label_noise(protocol_options.AS_IN_THE_RUN)
@protocol_options.imbalance(protocol_options.AS_IN_THE_RUN)
@protocol_options.corrupt(protocol_options.AS_IN_THE_RUN)
@protocol_options.episode_seed(protocol_options.AS_IN_THE_RUN)
@protocol_options.modes(protocol_options.AS_IN_THE_RUN)
@protocol_options.metrics(protocol_options.AS_IN_THE_RUN)
@shared.tested_options
@click.option("--resize", is_flag=True, help="Resize and recolor the images of --dataset to what the network takes.")
@shared.device
@shared.precision_as_in_the_run
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
    dataset: str | None,
    options: tuple[str, ...],
    steps: int | None,
    modes: tuple[Any, ...],
    metrics: tuple[str, ...],
    resize: bool,
    device: str,
    precision: Precision | None,
    data_dir: Path | None,
    as_json: bool,
    **protocol: Any,
) -> None:
    """Test MODEL (a run's record, its folder, or its model.json) again: other protocol, other data, no training.

    By default, data and protocol are those of the test at the end of the run. --ways requires a method without one
    output per class, such as protonet or pretrain.
    """
    changed = shared.with_steps(options, steps)
    session = session_of(context)
    plugins = session.plugins

    from mamlbench.cli.show import show_evaluation, working
    from mamlbench.runner.evaluate import evaluate_model
    from mamlbench.user_config import folders

    protocol |= {"modes": modes or None, "metrics": metrics or None}
    protocol = {name: value for name, value in protocol.items() if value is not None}
    with working(f"Testing {model}"):
        evaluation = evaluate_model(
            model,
            plugins,
            folders(session.config, data_dir=data_dir),
            dataset=dataset,
            protocol=protocol,
            options=changed,
            device=device,
            precision=precision,
            resize=resize,
        )
    show_evaluation(evaluation, as_json=as_json)
