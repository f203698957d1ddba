"""Options of the commands that test a model: what an episode is, and how many there are."""

from __future__ import annotations

import click

from mamlbench.spec import MODES

modes = click.option(
    "--mode", "modes", multiple=True, type=click.Choice(MODES),
    help="How batch norm sees query examples at test time; repeat for several, the first selects the checkpoint.  "
    "[default: transductive, inductive]",
)  # fmt: skip
shots = click.option("--shots", type=click.IntRange(min=1), help="Support examples per class.  [default: 1]")
queries = click.option("--queries", type=click.IntRange(min=1), help="Query examples per class at test.  [default: 1]")
test_episodes = click.option("--test-episodes", type=click.IntRange(min=2), help="Test episodes.  [default: 600]")
episode_seed = click.option(
    "--episode-seed", type=click.IntRange(min=0), help="Seed of validation and test episodes.  [default: 0]"
)
