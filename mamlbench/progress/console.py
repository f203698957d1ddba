"""The console that everything is printed to: a terminal, a notebook, or a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 120
"""Width of tables that are written to a file or a pipe, in characters."""


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Make a rich console; into a pipe it writes plain text of a fixed width, and nothing at all if it is quiet."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, quiet=quiet, emoji=False, width=None if stream.isatty() else PIPE_WIDTH)


def shows_bars(out: Console) -> bool:
    """Whether bars can move there: on a terminal and in a notebook."""
    return out.is_terminal or out.is_jupyter
