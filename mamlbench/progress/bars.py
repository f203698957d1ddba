"""Bars that move, as rich draws them: on a terminal, and in a notebook without ipywidgets."""

from __future__ import annotations

import io
import sys
import time
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.text import Text

from mamlbench.interrupts import announce_interrupts, interrupted

REFRESHES_PER_SECOND = 2
"""Redrawing takes milliseconds of the CPU that is being measured."""
ENDING = "Interrupted, ending; once more ends at once"
ALMOST = 0.98
"""Largest part of a bar that an estimate fills: what is estimated may take longer."""
LOCAL_MODES = 3
"""Place of the local modes among a terminal's attributes."""
NOTEBOOK_WIDTH = 110
"""Width of bars in a notebook, in characters."""


def make_bars(out: Console) -> Progress:
    """Make an empty display of bars: rows are added by ``add_task(title, total, loss="", validation="")``.

    A task with a field ``expected`` has a duration in seconds that is only estimated: its bar moves by the clock. One
    without a total and without an estimate has a bar that only moves, and the time since it began. One with
    ``timeless=True`` shows no time.
    """
    columns = (
        TextColumn("{task.description}"),
        _Bar(bar_width=None),
        _Count(),
        _Doing("{task.fields[loss]}"),
        TextColumn("[bold]{task.fields[validation]}"),
        _TimeLeft(),
    )
    if out.is_jupyter:
        return _NotebookBars(*columns, console=Console(width=NOTEBOOK_WIDTH, force_jupyter=True), auto_refresh=False)
    return _TerminalBars(*columns, console=out, refresh_per_second=REFRESHES_PER_SECOND)


class _Bar(BarColumn):
    """A bar; by the clock if only the duration is estimated."""

    def render(self, task: Task) -> ProgressBar:
        expected = task.fields.get("expected")
        if not expected:
            return super().render(task)
        return ProgressBar(total=1.0, completed=min(ALMOST, (task.elapsed or 0.0) / expected), width=self.bar_width)


class _Count(MofNCompleteColumn):
    """How many are done, of those that can be counted."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total is not None else Text("")


class _Doing(TextColumn):
    """What a task is doing; after Ctrl-C, that it is about to end."""

    def render(self, task: Task) -> Text:
        return Text(ENDING, style="bold") if interrupted() and not task.finished else super().render(task)


class _TimeLeft(TimeRemainingColumn):
    """The time left if it can be estimated, else the time since the beginning."""

    max_refresh = 0.0  # rich would show the time before an estimate for half a second longer

    def render(self, task: Task) -> Text:
        if task.fields.get("timeless"):
            return Text("")
        expected = task.fields.get("expected")
        if expected:
            left = max(0.0, expected - (task.elapsed or 0.0))
            return Text(clock(left), style="progress.remaining")
        return super().render(task) if task.total is not None else TimeElapsedColumn().render(task)


class _TerminalBars(Progress):
    """Bars on a terminal. They show an interrupt themselves: text between them would be drawn over."""

    def start(self) -> None:
        announce_interrupts(False)
        echo_control(False)
        super().start()

    def stop(self) -> None:
        super().stop()
        echo_control(True)
        announce_interrupts(True)


def echo_control(shown: bool) -> None:
    """Whether the terminal shows ``^C``: at the end of a bar it begins another line, and the bar is drawn twice."""
    if sys.platform == "win32":
        return
    import termios

    with suppress(OSError, ValueError, termios.error):  # stdin is no terminal
        attributes = termios.tcgetattr(sys.stdin)
        local = attributes[LOCAL_MODES]
        attributes[LOCAL_MODES] = local | termios.ECHOCTL if shown else local & ~termios.ECHOCTL
        termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)


class _NotebookBars(Progress):
    """Bars in the output of a notebook's cell, drawn again when an event comes; rich's own need ipywidgets."""

    _handle: Any = None
    _drawn = 0.0

    def start(self) -> None:
        from IPython.display import display

        self._handle = display(_Drawn(self), display_id=True)  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        self._draw()
        self._handle = None

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        if time.monotonic() - self._drawn >= 1 / REFRESHES_PER_SECOND:
            self._draw()

    def refresh(self) -> None:
        """Draw nothing: events do."""

    def _draw(self) -> None:
        if self._handle is not None:
            self._drawn = time.monotonic()
            self._handle.update(_Drawn(self))


class _Drawn:
    """Bars as HTML, as they are at this moment."""

    def __init__(self, bars: Progress) -> None:
        console = Console(file=io.StringIO(), record=True, width=NOTEBOOK_WIDTH, force_jupyter=False)
        console.print(bars.get_renderable())
        self._text = console.export_text(clear=False)
        self._html = console.export_html(inline_styles=True, code_format='<pre style="line-height:normal">{code}</pre>')

    def __repr__(self) -> str:
        return self._text.rstrip()

    def _repr_html_(self) -> str:
        return self._html


def clock(seconds: float) -> str:
    """Format a duration as clocks do: ``0:05``, ``12:30``, ``1:05:00``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
