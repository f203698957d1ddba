"""Options of the commands that test a model: the shape and number of episodes.

Each function takes the default that the help shows: ``run`` has its own defaults, ``evaluate`` uses those of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import click

from mamlbench.cli.shared_options import Registered
from mamlbench.run_spec import MOST_EPISODES_UNTIL, NO_CORRUPTION, TEST_MODES, TestSampling, read_corruption
from mamlbench.run_spec.bounds import MOST, MOST_SEED

AS_IN_THE_RUN = "as in the run"
Decorator = Callable[[Any], Any]


def modes(default: str = "transductive, inductive") -> Decorator:
    """Option --mode: how batch norm treats query examples."""
    return click.option(
        "--mode",
        "modes",
        multiple=True,
        type=click.Choice(TEST_MODES),
        help="How batch norm treats query examples at test time; repeat for several, the first selects a run's "
        f"checkpoint.  [default: {default}]",
    )


def metrics(default: str = "accuracy; in regression mean squared error") -> Decorator:
    """Option --metric: the metrics to report."""
    return click.option(
        "--metric",
        "metrics",
        multiple=True,
        type=Registered("metric"),
        help=f"A metric to report; repeat for several, the first selects a run's checkpoint.  [default: {default}]",
    )


def ways(default: str = "5") -> Decorator:
    """Classes per episode."""
    return _size("--ways", "Classes per episode; 2..20 draws their number for each episode.", default)


def shots(default: str = "1") -> Decorator:
    """Option --shots: support examples per class."""
    return _size("--shots", "Support examples per class; 1..20 draws their number for each episode.", default)


def queries(default: str = "1") -> Decorator:
    """Option --queries: query examples per class."""
    return _count("--queries", 1, "Query examples per class at test.", default)


def training(command: Any) -> Any:
    """What a training episode is, if it is another than a test episode."""
    decorators = (
        _size("--train-ways", "Classes per training episode; 2..20: of each meta-batch.", "the preset's, or --ways"),
        _size("--train-shots", "Support examples per class in training, or 1..20.", "the preset's, or --shots"),
        _count("--train-queries", 0, "Query examples per class in training.", "the preset's, or --queries"),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def test_episodes(default: str = "600") -> Decorator:
    """Option --test-episodes: the number of test episodes."""
    return _count("--test-episodes", 2, "Test episodes.", default)


class HalfWidth(click.ParamType[float]):
    """A half-width as a fraction: ``0.5pp`` and ``0.5%`` are 0.005; a plain number stays as it is."""

    name = "half-width"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; fail if it is none or not positive."""
        if isinstance(value, float):
            return value
        number = value.strip().removesuffix("pp").removesuffix("%")
        try:
            width = float(number) * (0.01 if number != value.strip() else 1.0)
        except ValueError:
            width = math.nan
        if not (width > 0 and math.isfinite(width)):
            self.fail(f"'{value}' is not a {self.name}. Write 0.5pp for half a percentage point, or a plain number.")
        return width


def test_until(default: str = "a fixed number of episodes") -> Decorator:
    """Option --test-until: the half-width of the interval that decides the number of test episodes."""
    return click.option(
        "--test-until",
        type=HalfWidth(),
        metavar="HALF-WIDTH",
        help="Evaluate as many test episodes as a 95 % interval of this half-width needs for these test classes, such "
        f"as 0.5pp, but not more than --test-episodes ({MOST_EPISODES_UNTIL:,} if not given).  [default: {default}]",
    )


def test_sampling(default: str = "independent") -> Decorator:
    """Option --test-sampling: whether test episodes may use an image again."""
    return click.option(
        "--test-sampling",
        type=click.Choice(get_args(TestSampling)),
        help="Draw test episodes independently, or without replacement: each image at most once in a pass over the "
        f"test split.  [default: {default}]",
    )


def label_noise(default: str = "0") -> Decorator:
    """Option --label-noise: the share of wrong labels in the support sets of test episodes."""
    return click.option(
        "--label-noise",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="Replace this share of the support labels of each test episode by another class of the episode; queries, "
        f"validation and training keep theirs.  [default: {default}]",
    )


def imbalance(default: str = "0") -> Decorator:
    """Option --imbalance: how unequal the classes of a test episode are."""
    return click.option(
        "--imbalance",
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="Give the classes of a test episode unequal numbers of support examples, spread from (1 + SHARE) to "
        f"(1 - SHARE) times the shots.  [default: {default}]",
    )


class SizeParam(click.ParamType[Any]):
    """A number, or a range of numbers: ``5`` or ``2..20``."""

    name = "integer range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the range as text; fail if it is neither."""
        least, dots, most = str(value).partition("..")
        parts: list[Any] = [least, *([most] if dots else [])]
        bounds = [click.IntRange(1, MOST).convert(part, param, ctx) for part in parts]
        if bounds[0] > bounds[-1]:
            self.fail(f"the range {value} is empty: write {most}..{least}.", param, ctx)
        return str(value) if dots else bounds[0]


def _size(name: str, meaning: str, default: str) -> Decorator:
    return click.option(name, type=SizeParam(), metavar="N or N..M", help=f"{meaning}  [default: {default}]")


class CorruptionParam(click.ParamType[str]):
    """A corruption of images, ``noise:0.3``."""

    name = "corruption"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it in the one spelling; fail if it is none."""
        try:
            return str(read_corruption(value) or NO_CORRUPTION)
        except ValueError as error:
            self.fail(f"'{value}': {error}.")


def corrupt(default: str = NO_CORRUPTION) -> Decorator:
    """Option --corrupt: what is done to the images of test episodes."""
    return click.option(
        "--corrupt",
        type=CorruptionParam(),
        metavar="NAME:STRENGTH",
        help="Corrupt the images of test episodes: noise:0.3 (standard deviation; pixels are in 0 to 1), blur:1.5 "
        f"(standard deviation in pixels), contrast:0.5 (the part that is removed), or none.  [default: {default}]",
    )


def episode_seed(default: str = "0") -> Decorator:
    """Option --episode-seed: the seed of validation and test episodes."""
    return _count("--episode-seed", 0, "Seed of validation and test episodes.", default, most=MOST_SEED)


def _count(name: str, minimum: int, meaning: str, default: str, *, most: int = MOST) -> Decorator:
    return click.option(name, type=click.IntRange(minimum, most), help=f"{meaning}  [default: {default}]")
