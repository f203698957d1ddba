"""Plugins that are wrong on purpose, each in one way: the contract checks must catch each by the check meant for it.

``MUTANTS`` holds (kind, class, name of the check).
"""

from . import algorithms, leaks, metrics, samplers
from .backbones import Flat, Tokens
from .datasets import Patterns, Valued
from .metrics import LabelAccuracy, Right
from .registry import MUTANTS

__all__ = [
    "MUTANTS",
    "Flat",
    "LabelAccuracy",
    "Patterns",
    "Right",
    "Tokens",
    "Valued",
    "algorithms",
    "leaks",
    "metrics",
    "samplers",
]
