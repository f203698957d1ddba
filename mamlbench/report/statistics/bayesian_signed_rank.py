"""Bayesian signed-rank test with a region of practical equivalence (ROPE).

Benavoli et al., "A Bayesian Wilcoxon signed-rank test based on the Dirichlet process" (ICML 2014). With ROPE: Benavoli,
Corani, Demsar and Zaffalon, "Time for a Change" (JMLR 18, 2017), section 4.2. Numbers equal those of the authors'
package baycomp 1.0.3, with the same draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mamlbench.student_t import Array

PRIOR_STRENGTH = 0.5
"""Weight of the prior's one observation, a difference of 0, where a cell has 1."""
SAMPLES = 50_000
"""Draws from the posterior: a probability near one half is exact to 0.005."""
_BLOCK = 4_096


class Posterior(NamedTuple):
    """How probable it is that differences of this kind are most often of each sign, or practically none."""

    worse: float
    equivalent: float
    better: float


def signed_rank_posterior(
    differences: Array, rope: float, *, samples: int = SAMPLES, prior_strength: float = PRIOR_STRENGTH, seed: int = 0
) -> Posterior:
    """Compute the posterior probabilities that a method is worse than, equivalent to, or better than another.

    The differences z_1..z_M have weights w ~ Dirichlet(s, 1, .., 1), with the prior's z_0 = 0. Of each draw,
    theta_better = sum of w_i w_j over pairs with z_i + z_j > 2 rope, theta_worse likewise below -2 rope, and the rest
    is theta_equivalent. Each probability is the share of draws in which its theta is the largest.

    Args:
        differences: mean score of the first method minus that of the second on each cell, ``[M]``; higher is better.
        rope: differences up to this size are no practical ones; 0 for none, and ``equivalent`` is 0 then.
        samples: number of draws.
        prior_strength: s.
        seed: of the draws. NumPy promises that ``RandomState`` draws the same numbers in every release.
    """
    z = np.concatenate([[0.0], differences])
    sums = z[:, None] + z
    better, worse = _step(sums - 2 * rope), _step(-sums - 2 * rope)
    weights = np.random.RandomState(seed).dirichlet([prior_strength, *np.ones(len(differences))], samples)
    wins = np.zeros(3)
    for start in range(0, samples, _BLOCK):
        w = weights[start : start + _BLOCK]
        theta_better = ((w @ better) * w).sum(-1)
        theta_worse = ((w @ worse) * w).sum(-1) if rope > 0 else 1 - theta_better
        theta_equivalent = 1 - theta_better - theta_worse if rope > 0 else np.zeros(len(w))
        largest = np.argmax([theta_worse, theta_equivalent, theta_better], axis=0)
        wins += np.bincount(largest, minlength=3)
    return Posterior(*(wins / samples).tolist())


def _step(values: Array) -> Array:
    """Heaviside's function: 1 above zero, one half at zero."""
    step: Array = np.heaviside(values, 0.5)
    return step
