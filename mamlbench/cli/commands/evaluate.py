"""``mamlbench evaluate``: another test of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mamlbench.cli import options as shared
from mamlbench.cli import protocol_options
from mamlbench.cli.main import session_of

EPILOG = """\b
Examples:
  mamlbench evaluate results/NAME.json --queries 15
  mamlbench evaluate results/NAME.json --steps 10 --test-episodes 2000
  mamlbench evaluate results/NAME/model.json --mode support+query --json"""


@click.command(epilog=EPILOG)
@click.argument("model", type=shared.RecordPath())
@protocol_options.shots
@protocol_options.queries
@shared.steps
@protocol_options.test_episodes
@protocol_options.episode_seed
@protocol_options.modes
@shared.plugin_options
@shared.device
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context, /, *, model: Path, options: tuple[str, ...], steps: int | None, modes: tuple[Any, ...],
    device: str, data_dir: Path | None, as_json: bool, **protocol: Any,
) -> None:  # fmt: skip
    """Test MODEL (a run's record, its folder, or its model.json) under another protocol; nothing is retrained.

    What is not given stays as it was when the model was tested at the end of its run.
    """
    changed = shared.with_steps(options, steps)
    session = session_of(context)
    plugins = session.plugins

    from mamlbench.cli.show import show_evaluation, working
    from mamlbench.project import folders
    from mamlbench.runner import evaluate_model

    protocol = {name: value for name, value in {**protocol, "modes": modes or None}.items() if value is not None}
    with working(f"Testing {model}"):
        evaluation = evaluate_model(
            model, plugins, folders(session.project, data_dir=data_dir),
            protocol=protocol, options=changed, device=device,
        )  # fmt: skip
    show_evaluation(evaluation, as_json=as_json)
