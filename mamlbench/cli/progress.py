"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
REFRESHES_PER_SECOND = 2  # redrawing takes milliseconds of the CPU that is being measured


@contextmanager
def progress(plugins: Plugins, display: ProgressDisplay | None = None) -> Iterator[None]:
    """Show the progress of runs inside the context."""
    display = display or ProgressDisplay()
    plugins.manager.register(display, name="progress display")
    try:
        yield
    finally:
        display.close()
        plugins.manager.unregister(display)


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
    if not out.is_terminal:
        yield lambda name: None, Preparation(out)
        return
    from rich.markup import escape

    with _bar(out) as bar:
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
        if not self.console.is_terminal:
            self._line(title, done, total)
            return
        if self.bar is None:
            self.bar = self.owned = _bar(self.console)
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


@dataclass
class _RunProgress:
    """The displayed progress of one run."""

    preparation: Preparation
    task: TaskID | None = None
    validation: str = ""
    start: float = 0.0
    first_step: int = 0
    last_line: float = 0.0


class ProgressDisplay:
    """Listens to the events of runs and shows step, loss, validation score and time left of each.

    On a terminal it shows a bar for each run in progress. Elsewhere it prints lines.

    Args:
        specs: the runs that are to come, so that each has a number; empty: not known.
    """

    def __init__(self, specs: Sequence[RunSpec] = ()) -> None:
        self.numbers = {spec.hash: number for number, spec in enumerate(specs, 1)}
        self.console = console(stderr=True)
        self.bar: Progress | None = None
        self.runs: dict[str, _RunProgress] = {}
        """Runs in progress by the hash of their spec."""

    def title(self, spec: RunSpec) -> str:
        """Return the title of a run, with its number if there are several."""
        number = f"{self.numbers[spec.hash]}/{len(self.numbers)} " if len(self.numbers) > 1 else ""
        return f"{number}{_title(spec)}"

    @hookimpl
    def mamlbench_run_started(self, spec: RunSpec) -> None:
        """Show that data is being prepared."""
        run = _RunProgress(Preparation(self.console))
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
        """Show the progress of the preparation."""
        self._progress_of(spec).preparation(title, done, total)

    @hookimpl
    def mamlbench_trying_engine(self, spec: RunSpec, engine: str) -> None:
        """Show which engine is tried; as a line only if that takes long."""
        run = self._progress_of(spec)
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, loss=f"trying {engine}")
        elif "compiled" in engine:
            self.print_line(
                f"{self.title(spec)}: trying engine {engine}; compiling takes a minute or two without output"
            )

    @hookimpl
    def mamlbench_progress(self, spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
        """Update the bar, or print a line if the last one is ten seconds old."""
        run, now = self._progress_of(spec), time.monotonic()
        if not run.start:  # after the first block: warm-up would distort the estimate of the time left
            run.start, run.first_step = now, step
        loss = f"loss {metrics['loss']:.3f}"
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, completed=step, loss=loss)
        elif now - run.last_line >= LINE_EVERY_SECONDS:
            run.last_line = now
            left = _time_left(now - run.start, step - run.first_step, spec.training.iterations - step)
            validation = run.validation and f", {run.validation}"
            self._line(
                spec,
                step,
                f"{loss}{validation}{left}",
            )

    @hookimpl
    def mamlbench_evaluated(
        self, spec: RunSpec, step: int, split: str, metrics: Mapping[str, float], units: Mapping[str, str]
    ) -> None:
        """Show the latest validation score: that of the metric that selects."""
        name, score = next(iter(metrics.items()))
        shown = f"{100 * score:.1f} %" if units[name] == "%" else f"{score:.3g}"
        label = "validation" if split == "val" else split
        run = self._progress_of(spec)
        run.validation = f"{label} {shown}"
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, validation=run.validation)
        else:
            self._line(spec, step, run.validation)

    @hookimpl
    def mamlbench_notice(self, spec: RunSpec, text: str) -> None:
        """Show a notice in a line."""
        self.print_line(f"{self.title(spec)}: {text}")

    @hookimpl
    def mamlbench_run_finished(self, spec: RunSpec, record: RunRecord) -> None:
        """Remove the bar; that of the last run in progress stays on the screen."""
        if spec.hash not in self.runs:
            self.show_unannounced(spec, record)
        self.forget(spec)

    def show_unannounced(self, spec: RunSpec, record: RunRecord) -> None:
        """Show a finished run that sent no earlier events, because its launcher does not forward them."""
        self.print_line(f"{self.title(spec)}: {record.status}")

    def forget(self, spec: RunSpec) -> None:
        """Remove a run that has ended."""
        run = self.runs.pop(spec.hash, None)
        if self.runs and self.bar is not None and run is not None and run.task is not None:
            self.bar.remove_task(run.task)
        elif not self.runs:
            self.close()

    def close(self) -> None:
        """Stop the bar, so that the next output starts on a new line."""
        if self.bar is not None:
            self.bar.stop()

    def print_line(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        if self.bar is not None and self.runs:
            self.bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

    def _progress_of(self, spec: RunSpec) -> _RunProgress:
        """Return the progress of a run; a launcher may not have forwarded its start."""
        return self.runs.setdefault(spec.hash, _RunProgress(Preparation(self.console)))

    def _line(self, spec: RunSpec, step: int, text: str) -> None:
        self.print_line(f"{self.title(spec)}: step {step}/{spec.training.iterations}, {text}")


def _time_left(elapsed: float, done: int, steps_left: int) -> str:
    if done < 1 or elapsed <= 0:
        return ""
    left = elapsed / done * steps_left
    return f", {int(left) // 60}:{int(left) % 60:02d} left"


def _title(spec: RunSpec) -> str:
    return f"{spec.algorithm.name} on {spec.dataset.title}, seed {spec.seed}"


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
