"""Draws the options of trials from a search space, with Optuna.

The draw of a trial depends on the seed and the trial's number alone, so that a study that was killed goes on with the
draws that it would have had. All methods have the same seed: the draws of an option that they share, such as
``outer_lr``, are the same for all.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from mamlbench.api import IntRange, LogUniform, OneOf, seed_key
from mamlbench.errors import MissingDependencyError
from mamlbench.run_spec.search_space import SearchRange, SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DIGITS = 3
"""Significant digits of drawn numbers: no result depends on more, and a preset is readable."""


def draw_options(space: SearchSpace, seed: int, trial: int) -> dict[str, Any]:
    """Draw a value for each option, each independently of the others and of other trials.

    Raises MissingDependencyError without Optuna.
    """
    optuna = import_optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=int(seed_key("tuning", seed, trial)) % 2**32)
    drawn = optuna.create_study(sampler=sampler).ask({name: _distribution(item) for name, item in space.items()}).params
    return {name: _value(item, drawn[name]) for name, item in space.items()}


def import_optuna() -> ModuleType:
    """Import Optuna. Raises MissingDependencyError if it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError("Tuning needs Optuna: pip install 'mamlbench[tune]'.") from error
    return optuna


def _distribution(item: SearchRange) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(item, OneOf):
        return CategoricalDistribution(range(len(item.values)))  # Optuna warns about values that are lists
    if isinstance(item, IntRange):
        return IntDistribution(item.low, item.high, log=item.log)
    return FloatDistribution(item.low, item.high, log=isinstance(item, LogUniform))


def _value(item: SearchRange, drawn: Any) -> Any:
    if isinstance(item, OneOf):
        return item.values[drawn]
    if isinstance(item, IntRange):
        return int(drawn)
    return min(max(float(f"{drawn:.{DIGITS}g}"), item.low), item.high)
