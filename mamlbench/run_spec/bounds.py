"""Largest numbers that settings may have, so that a slip is refused and not computed for a year or out of range."""

from __future__ import annotations

MOST = 2**31 - 1
"""Largest count: iterations, tasks, episodes, classes, examples, steps."""

MOST_SEED = 2**63 - 1
"""Largest seed: a record's integers lie within 64 bits."""

MOST_SEEDS = 10_000
"""Largest number of training seeds: each is a run."""
