"""Plugins that are wrong on purpose, each in one way: the contract checks must catch each by the check meant for it.

``MUTANTS`` holds (kind, class, name of the check).
"""

from . import algorithms, metrics, samplers
from .backbones import Flat
from .datasets import Patterns
from .metrics import Right
from .registry import MUTANTS

__all__ = ["MUTANTS", "Flat", "Patterns", "Right", "algorithms", "metrics", "samplers"]
