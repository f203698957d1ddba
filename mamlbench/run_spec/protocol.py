"""The evaluation protocol: everything that must be equal before two accuracies may be compared."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from mamlbench.run_spec.bounds import MOST, MOST_SEED
from mamlbench.run_spec.corruption import NO_CORRUPTION, CorruptionText

Mode = Literal["transductive", "inductive", "support+query"]
"""How batch-norm layers normalize query examples at test time (see docs/explanation.md, 'Modes of evaluation')."""

MODES: tuple[Mode, ...] = get_args(Mode)

TestMode = Literal["transductive", "inductive", "support+query", "running"]
"""How a test is made: in one of the modes above, or with statistics of training data for support and query alike."""

TEST_MODES: tuple[TestMode, ...] = get_args(TestMode)

MOST_EPISODES_UNTIL = 10_000
"""Most test episodes with ``test_until`` if none are named."""


TestSampling = Literal["independent", "without-replacement"]
"""Whether test episodes are drawn independently, or use each image at most once in a pass over the test split."""


def range_text(least: int | None, most: int) -> str:
    """Return ``2..20``, or the number alone if there is no least one."""
    return f"{most}" if least is None else f"{least}..{most}"


class Protocol(BaseModel):
    """N-way K-shot episodes with Q queries per class, and how many of them validate and test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ways: int = Field(5, ge=1, le=MOST, description="classes per episode (N)")
    shots: int = Field(1, ge=1, le=MOST, description="support examples per class (K)")
    queries: int = Field(1, ge=1, le=MOST, description="query examples per class (Q), in validation and test episodes")
    test_episodes: int = Field(600, ge=2, le=MOST, description="test episodes; with test_until the most of them")
    validation_episodes: int = Field(200, ge=2, le=MOST, description="validation episodes at each validation")
    episode_seed: int = Field(
        0,
        ge=0,
        le=MOST_SEED,
        description="seed of validation and test episodes; the same for every algorithm and training seed",
    )
    modes: tuple[TestMode, ...] = Field(
        ("transductive", "inductive"), min_length=1, description="batch-norm modes to report, the first one selects"
    )
    metrics: tuple[str, ...] = Field(
        (),
        description="metrics to report, by registered name, the first one selects the checkpoint; none: those that the "
        "data set's objective names",
    )
    keep_predictions: bool = Field(False, description="keep the outputs for every test query beside the record")
    test_sampling: TestSampling = Field(
        "independent",
        description="'independent' draws each test episode for itself; 'without-replacement' uses each image at most "
        "once before all have been used",
    )
    test_until: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="half-width of the 95 % interval for these test classes, in the metric's own unit, for which "
        "enough test episodes are evaluated; None: test_episodes, whatever the interval",
    )
    label_noise: float = Field(
        0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="share of the support labels of each test episode that are replaced by another class of it; "
        "queries, validation and training keep theirs",
    )
    corrupt: CorruptionText = Field(
        NO_CORRUPTION,
        description="what is done to the images of test episodes, support and query: 'noise:0.3', 'blur:1.5', "
        "'contrast:0.5'; 'none'",
    )

    least_ways: int | None = Field(
        None, ge=2, le=MOST, description="fewest classes of an episode, which then has this many to 'ways' of them"
    )
    least_shots: int | None = Field(
        None, ge=1, le=MOST, description="fewest support examples per class, if episodes have this many to 'shots'"
    )
    imbalance: float = Field(
        0.0,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="classes of a test episode have from (1 + imbalance) to (1 - imbalance) times its shots",
    )

    @property
    def sizes_vary(self) -> bool:
        """Whether episodes have several numbers of classes or shots."""
        return self.least_ways is not None or self.least_shots is not None

    @property
    def size_text(self) -> str:
        """Ways and shots in words: ``2..20-way 1..20-shot``."""
        ways, shots = range_text(self.least_ways, self.ways), range_text(self.least_shots, self.shots)
        return f"{ways}-way {shots}-shot"

    def without_reporting(self) -> Protocol:
        """The same without what changes neither training nor scores: which metrics and predictions are kept."""
        return self.model_copy(update={"metrics": (), "keep_predictions": False})
