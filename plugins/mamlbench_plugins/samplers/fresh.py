"""Sampler of fresh tasks, as in the papers."""

from mamlbench.api import TaskSampler


class Fresh(TaskSampler):
    """Every training task is a new one."""
