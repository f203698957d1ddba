"""``python -m mamlbench.cli``."""

from mamlbench.cli.main import entry

entry()
