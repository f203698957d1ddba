"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from mamlbench import hookimpl
from mamlbench.cli.show import console
from mamlbench.plugin import Plugins
from mamlbench.record import RunRecord
from mamlbench.run_spec import RunSpec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

LINE_EVERY_SECONDS = 10
REFRESHES_PER_SECOND = 2  # redrawing costs milliseconds of the processor that is being measured


@contextmanager
def progress(plugins: Plugins, display: ProgressDisplay | None = None) -> Iterator[None]:
    """Let a display listen to the events of whatever runs inside."""
    display = display or ProgressDisplay()
    plugins.manager.register(display, name="progress display")
    try:
        yield
    finally:
        display.close()
        plugins.manager.unregister(display)


@contextmanager
def preparation() -> Iterator[Preparation]:
    """A display of its own for data sets that are prepared inside."""
    display = Preparation(console(stderr=True))
    try:
        yield display
    finally:
        display.close()


class Preparation:
    """Told how far the preparation of a data set is (``mamlbench.api.ProgressCallback``), shows it.

    On a terminal: a bar, within ``bar`` where there is one already. Elsewhere: a line now and then, and one at the end.
    """

    def __init__(self, out: Console, bar: Progress | None = None) -> None:
        self.console = out
        self.bar = bar
        self.owned: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.last_line = time.monotonic()  # what is done at once needs no line

    def __call__(self, title: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done."""
        if not self.console.is_terminal:
            self._line(title, done, total)
            return
        if self.bar is None:
            self.bar = self.owned = _bar(self.console)
            self.bar.start()
        if title not in self.tasks:
            self.tasks[title] = self.bar.add_task(f"Preparing {title}", total=total, loss="", validation="")
        shown = done < total or self.owned is not None  # a run's own bar is left alone when it begins
        self.bar.update(self.tasks[title], completed=done, total=total, visible=shown)

    def close(self) -> None:
        """Stop the bar, so that what comes next starts on a line of its own."""
        if self.owned is not None:
            self.owned.stop()

    def _line(self, title: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self.last_line < LINE_EVERY_SECONDS:
            return
        self.last_line = now
        click.echo(f"Preparing {title}: {done:,} of {total:,}", err=True)


@dataclass
class _Run:
    """What is shown of one run."""

    preparation: Preparation
    task: TaskID | None = None
    validation: str = ""
    began: float = 0.0
    last_line: float = 0.0


class ProgressDisplay:
    """Listens to the events of runs and shows step, loss, validation score and time left of each.

    On a terminal: a bar for each run that goes on. Elsewhere: lines.
    """

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.bar: Progress | None = None
        self.runs: dict[str, _Run] = {}
        """by hash of the spec: those that go on"""

    def title(self, spec: RunSpec) -> str:
        """What the run is called."""
        return _title(spec)

    @hookimpl
    def mamlbench_run_started(self, spec: RunSpec) -> None:
        """Show that data is being prepared; the first such preparation takes a while."""
        run = _Run(Preparation(self.console))
        if not self.console.is_terminal:
            click.echo(f"{self.title(spec)}: preparing data", err=True)
        else:
            if self.bar is None or not self.runs:
                self.close()
                self.bar = _bar(self.console)
                self.bar.start()
            total = spec.training.iterations
            run.task = self.bar.add_task(self.title(spec), total=total, loss="preparing", validation="")
            run.preparation = Preparation(self.console, self.bar)
        self.runs[spec.hash] = run

    @hookimpl
    def mamlbench_preparing(self, spec: RunSpec, title: str, done: int, total: int) -> None:
        """Show how far the preparation is."""
        self._of(spec).preparation(title, done, total)

    @hookimpl
    def mamlbench_trying_engine(self, spec: RunSpec, engine: str) -> None:
        """Say which engine is tried; where lines are printed, only of those that take long."""
        run = self._of(spec)
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, loss=f"trying {engine}")
        elif "compiled" in engine:
            self.say(f"{self.title(spec)}: trying engine {engine}; compiling takes a minute or two")

    @hookimpl
    def mamlbench_progress(self, spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
        """Move the bar, or print a line when the last one is some time ago."""
        run, now = self._of(spec), time.monotonic()
        run.began = run.began or now  # the first block is warm-up and would spoil the estimate of time left
        loss = f"loss {metrics['loss']:.3f}"
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, completed=step, loss=loss)
        elif now - run.last_line >= LINE_EVERY_SECONDS:
            run.last_line = now
            validation = run.validation and f", {run.validation}"
            self._line(spec, step, f"{loss}{validation}{_time_left(run.began, spec, step)}")

    @hookimpl
    def mamlbench_evaluated(
        self, spec: RunSpec, step: int, split: str, metrics: Mapping[str, float], units: Mapping[str, str]
    ) -> None:
        """Show the latest validation score: that of the metric that selects."""
        name, score = next(iter(metrics.items()))
        shown = f"{100 * score:.1f} %" if units[name] == "%" else f"{score:.3g}"
        label = "validation" if split == "val" else split
        run = self._of(spec)
        run.validation = f"{label} {shown}"
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, validation=run.validation)
        else:
            self._line(spec, step, run.validation)

    @hookimpl
    def mamlbench_run_finished(self, spec: RunSpec, record: RunRecord) -> None:
        """Leave the full bar behind, unless it stands among those of runs that go on."""
        if spec.hash not in self.runs:
            self.unheard_of(spec, record)
        self.forget(spec)

    def unheard_of(self, spec: RunSpec, record: RunRecord) -> None:
        """A run has ended of which nothing was heard before: its launcher passes no events on."""
        self.say(f"{self.title(spec)}: {record.status}")

    def forget(self, spec: RunSpec) -> None:
        """A run has ended, with an event or without."""
        run = self.runs.pop(spec.hash, None)
        if self.runs and self.bar is not None and run is not None and run.task is not None:
            self.bar.remove_task(run.task)
        elif not self.runs:
            self.close()

    def close(self) -> None:
        """Stop the bar, so that what comes next starts on a line of its own."""
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        if self.bar is not None and self.runs:
            self.bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

    def _of(self, spec: RunSpec) -> _Run:
        """What is shown of a run; a launcher need not pass on that it has begun."""
        return self.runs.setdefault(spec.hash, _Run(Preparation(self.console)))

    def _line(self, spec: RunSpec, step: int, text: str) -> None:
        self.say(f"{self.title(spec)}: step {step}/{spec.training.iterations}, {text}")


def _time_left(began: float, spec: RunSpec, step: int) -> str:
    passed = time.monotonic() - began
    done = step - 1
    if done < 1 or passed <= 0:
        return ""
    left = passed / done * (spec.training.iterations - step)
    return f", {int(left) // 60}:{int(left) % 60:02d} left"


def _title(spec: RunSpec) -> str:
    return f"{spec.algorithm.name} on {spec.dataset.name}, seed {spec.seed}"


def _bar(out: Any) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("[bold]{task.fields[validation]}"),
        TimeRemainingColumn(),
        console=out,
        refresh_per_second=REFRESHES_PER_SECOND,
    )
