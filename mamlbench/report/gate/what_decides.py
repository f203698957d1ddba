"""What decides a comparison that is inconclusive: so many more runs, or a threshold that the present ones can show."""

from __future__ import annotations

import math

from mamlbench.report.gate.metrics import MACHINE_METRICS
from mamlbench.report.gate.verdict import PendingVerdict, Verdict
from mamlbench.report.statistics.significance_tests import Comparison
from mamlbench.student_t import LEVEL, t_quantile

MOST_RUNS = 30
"""More runs, or seeds, on each side than this are no suggestion."""
MOST_EPISODES = 20_000
"""More test episodes than this are no suggestion either."""


def what_decides(pending: PendingVerdict, margin: float, p_value: float) -> str:
    """Return how many runs, seeds or episodes would decide, and which threshold is decided as it is.

    Args:
        pending: the comparison that is inconclusive.
        margin: change for the worse that is allowed, in the unit of the comparison.
        p_value: corrected for the number of comparisons.
    """
    comparison = pending.comparison
    assert comparison is not None
    threshold = passing_threshold(comparison, pending.verdict)
    other = f"{threshold} is the tightest threshold that passes as it is" if threshold else ""
    number = _number_needed(pending, comparison, _factor(comparison, margin, p_value))
    if number:
        return f"{number}; {other}" if other else number
    kind = "test episodes" if _by_episodes(pending, comparison) else "runs" if not pending.sizes[2] else "seeds"
    if pending.verdict.population == "new classes" and pending.sizes[2]:
        first = "needs more test classes (more episodes and seeds help only as far as classes leave chance to them)"
    else:
        first = f"no practical number of {kind} decides so close to the threshold"
    return f"{first}; {other}" if other else first


def passing_threshold(comparison: Comparison, verdict: Verdict) -> str:
    """Return the smallest threshold that passes with these runs, as ``--fail`` takes it; empty if none does."""
    _, upper = map(float, comparison.confidence_interval(1 - 2 * LEVEL))
    sign = "+" if verdict.lower_is_better else "-"
    if verdict.metric in MACHINE_METRICS:  # a logarithm of a ratio
        change = math.expm1(upper) if verdict.lower_is_better else -math.expm1(-upper)
        amount, unit = _rounded_up(100 * change, 0.1), "%"
    elif verdict.unit == "%":
        amount, unit = _rounded_up(100 * upper, 0.1), "pp"
    else:
        two_digits = 10.0 ** (math.floor(math.log10(upper)) - 1) if upper > 0 else 1.0
        amount, unit = _rounded_up(upper, two_digits), ""
    largest = 100 if unit and not (unit == "%" and verdict.lower_is_better) else math.inf
    if not (math.isfinite(amount) and 0 < amount < largest):
        return ""
    return f"{sign}{amount:.6g}{unit}"


def _rounded_up(value: float, step: float) -> float:
    """Round up to the next multiple of a step, so that the threshold lies above what was shown."""
    return (math.floor(value / step) + 1) * step if math.isfinite(value) else value


def _factor(comparison: Comparison, margin: float, p_value: float) -> float:
    """Return the multiple of the present number that would decide, assuming that the difference stays as it is."""
    worse_by, df = float(comparison.difference), float(comparison.degrees_of_freedom)
    level = LEVEL * min(1.0, max(float(comparison.p_value), 1e-12) / max(p_value, 1e-12))  # left by Holm's correction
    if worse_by > margin:  # until the difference is significant
        needed_error = worse_by / float(t_quantile(1 - level / 2, df))
    else:  # until the confidence interval lies below the margin
        needed_error = (margin - worse_by) / float(t_quantile(1 - LEVEL, df))
    # The standard error falls with the square root of the number.
    return (float(comparison.standard_error) / needed_error) ** 2 if needed_error > 0 else math.inf


def _by_episodes(pending: PendingVerdict, comparison: Comparison) -> bool:
    """Return whether more test episodes decide: the claim is about checkpoints."""
    return bool(pending.sizes[2]) and comparison.claim == "checkpoints"


def _number_needed(pending: PendingVerdict, comparison: Comparison, factor: float) -> str:
    """Return how many runs, seeds or test episodes would decide; empty if they are too many to suggest."""
    base, head, episodes = pending.sizes
    if episodes and pending.verdict.population == "new classes":
        return ""
    by_episodes = _by_episodes(pending, comparison)
    present, most = (episodes, MOST_EPISODES) if by_episodes else (min(base, head), MOST_RUNS)
    if not math.isfinite(factor) or present * factor > most:
        return ""
    needed = max(present + 1, math.ceil(present * factor))
    if by_episodes:
        return f"needs about {needed:,} test episodes in place of {present:,}"
    return f"needs about {needed} {'seeds' if episodes else 'runs'} on each side, {needed - present} more"
