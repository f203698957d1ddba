"""Progress of preparing data sets, and of things that are counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mamlbench.progress.console import console, shows_bars

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

LINE_EVERY_SECONDS = 10


@contextmanager
def preparation() -> Iterator[Preparation]:
    """Show the preparation of data sets inside the context."""
    display = Preparation(console(stderr=True))
    try:
        yield display
    finally:
        display.close()


@contextmanager
def counted(title: str, total: int, *, quiet: bool = False) -> Iterator[tuple[Callable[[str], None], Preparation]]:
    """Show on a terminal how many of ``total`` things are done.

    Yields a function to call with the name of each, and the display of data sets that are prepared in between.
    """
    out = console(stderr=True, quiet=quiet)
    if not shows_bars(out):
        yield lambda name: None, Preparation(out)
        return
    from rich.markup import escape

    from mamlbench.progress.bars import make_bars

    with make_bars(out) as bar:
        task = bar.add_task(title, total=total, loss="", validation="")
        yield lambda name: bar.update(task, advance=1, validation=escape(name)), Preparation(out, bar)


class Preparation:
    """Shows the progress of preparing a data set; a ``mamlbench.api.ProgressCallback``.

    On a terminal it shows a bar, inside ``bar`` if there is one. Elsewhere it prints a line every ten seconds, and
    at the end.
    """

    def __init__(self, out: Console, bar: Progress | None = None) -> None:
        self.console = out
        self.bar = bar
        self.owned: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.last_line = time.monotonic()  # a short preparation prints no line

    def __call__(self, title: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are prepared."""
        if not shows_bars(self.console):
            self._line(title, done, total)
            return
        if self.bar is None:
            from mamlbench.progress.bars import make_bars

            self.bar = self.owned = make_bars(self.console)
            self.bar.start()
        if title not in self.tasks:
            self.tasks[title] = self.bar.add_task(f"Preparing {title}", total=total, loss="", validation="")
        shown = done < total or self.owned is not None  # within a run's bars, a finished preparation is hidden
        self.bar.update(self.tasks[title], completed=done, total=total, visible=shown)

    def close(self) -> None:
        """Stop the bar, so that the next output starts on a new line."""
        if self.owned is not None:
            self.owned.stop()

    def _line(self, title: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self.last_line < LINE_EVERY_SECONDS:
            return
        self.last_line = now
        if not self.console.quiet:
            click.echo(f"Preparing {title}: {done:,} of {total:,}", err=True)
