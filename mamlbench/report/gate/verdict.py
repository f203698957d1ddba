"""The verdict on one metric of one configuration: better, worse, same, inconclusive, not comparable or missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mamlbench.report.statistics.significance_tests import Comparison

Population = Literal["these classes", "new classes"]
"""The classes that a verdict on scores holds for: those of the test episodes, or others like them."""
VerdictKind = Literal["better", "worse", "same", "inconclusive", "not comparable", "missing"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one metric of one configuration, with the numbers behind it."""

    configuration: str
    metric: str
    """Name of a metric, a time or a memory; 'score' if nothing was tested, so that the metric is unknown."""
    mode: str
    """The mode of a score; empty for times and memory."""
    unit: str
    """'%' if values are fractions."""
    scale: float
    """Factor from base units to the unit."""
    lower_is_better: bool
    kind: VerdictKind
    series: str = ""
    """Name of the configuration for trackers: with an identifier in place of what distinguishes it from others, which
    changes if there are others."""
    detail: str = ""
    """The reason, or what would decide."""
    base: float | None = None
    head: float | None = None
    change: float | None = None
    """HEAD minus BASE; relative to BASE for times and memory."""
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % confidence interval of the change."""
    head_half_width: float | None = None
    """Half-width of HEAD's own 95 % confidence interval."""
    margin: float = 0.0
    """Change for the worse that is allowed, in the unit of the change."""
    claim: str = ""
    """What the verdict is about: 'algorithms' or 'checkpoints' for scores, 'runs' for times and memory."""
    population: Population | None = None
    """The classes that it holds for; None for times and memory, and without a comparison."""
    p_value: float | None = None
    """Corrected after Holm."""
    effect_size: float | None = None
    """HEAD minus BASE in standard deviations: of the paired differences between episodes for claims about checkpoints,
    otherwise of the seeds' (the runs') means; of logarithms for times and memory."""
    minimum_detectable_effect: float | None = None
    """The smallest change for the worse that is found with a power of 80 %, before the correction."""
    gated: bool = False
    """Whether a threshold applies to it."""
    passes: bool = False
    """Whether HEAD is shown to be no worse than the margin allows."""
    doubt: str = ""
    """Classes and images that splits of either side's data share: what was learned about new classes is not shown."""
    test_data: str = ""
    """Whether the networks were trained on test classes or images: 'seen', 'not seen' or 'unknown', of BASE and of HEAD
    if they differ; empty for times and memory, and without classes."""
    changed: list[str] = field(default_factory=list)
    """Settings that differ between the sides."""

    @property
    def label(self) -> str:
        """The metric and the mode: ``accuracy, inductive``."""
        return ", ".join(filter(None, (self.metric, self.mode)))


@dataclass(frozen=True)
class PendingVerdict:
    """A verdict before the correction for multiple comparisons; final if it has no comparison."""

    verdict: Verdict
    comparison: Comparison | None = None
    """HEAD compared with BASE, with the sign chosen so that a positive difference is worse."""
    sizes: tuple[int, int, int] = (0, 0, 0)
    """Number of runs or seeds of BASE and of HEAD, and of episodes (0 for times and memory)."""
