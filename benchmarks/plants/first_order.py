"""Planted: MAML leaves out the second derivatives, as first-order MAML does."""

from mamlbench_plugins.algorithms.maml import MAML

MAML.gradient_order = 1
