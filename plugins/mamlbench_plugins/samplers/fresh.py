"""Fresh tasks: what the papers do."""

from mamlbench.api import TaskSampler


class Fresh(TaskSampler):
    """A new task each time."""
