"""Progress of runs on stderr or in a notebook: a bar for each run in progress; plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from mamlbench.plugin import Plugins
from mamlbench.plugin.markers import hookimpl
from mamlbench.progress.console import console, shows_bars
from mamlbench.progress.preparation import LINE_EVERY_SECONDS, Preparation
from mamlbench.progress.time_left import TimeLeft
from mamlbench.record import RunRecord
from mamlbench.run_spec import RunSpec

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LONG_TRIAL = 20.0
"""Seconds above which trying an engine is announced in a line, where there are no bars."""


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


@dataclass
class _RunProgress:
    """The displayed progress of one run."""

    preparation: Preparation
    task: TaskID | None = None
    trial: TaskID | None = None
    """Row of the engines that are tried."""
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
        self.time_left = TimeLeft(specs)
        self.total: TaskID | None = None
        """Row of all runs."""
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
        self.time_left.begun(spec)
        if not shows_bars(self.console):
            click.echo(f"{self.title(spec)}: preparing data", err=True)
        else:
            bar = self._bar_of_runs()
            total = spec.training.iterations
            run.task = bar.add_task(self.title(spec), total=total, loss="preparing", validation="")
            run.preparation = Preparation(self.console, bar)
            self._show_all_runs()
        self.runs[spec.hash] = run

    @hookimpl
    def mamlbench_preparing(self, spec: RunSpec, title: str, done: int, total: int) -> None:
        """Show the progress of the preparation."""
        self._progress_of(spec).preparation(title, done, total)

    @hookimpl
    def mamlbench_trying_engine(self, spec: RunSpec, engine: str, seconds: float | None) -> None:
        """Show which engine is tried, and the estimated time of all trials; as a line only if that is long."""
        run = self._progress_of(spec)
        if self.bar is None or run.task is None:
            if (seconds or 0.0) > LONG_TRIAL:
                self.print_line(f"{self.title(spec)}: trying engine {engine}, about {seconds:.0f} s without output")
            return
        self.bar.update(run.task, loss="")
        if run.trial is None:
            run.trial = self.bar.add_task("Trying engines", total=None, loss="", validation="")
        elapsed = self.bar.tasks[self.bar.task_ids.index(run.trial)].elapsed or 0.0
        self.bar.update(run.trial, loss=engine, expected=seconds and elapsed + seconds)

    @hookimpl
    def mamlbench_progress(self, spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
        """Update the bar, or print a line if the last one is ten seconds old."""
        run, now = self._progress_of(spec), time.monotonic()
        self._remove_trial(run)
        self.time_left.reached(spec, step)
        if not run.start:  # after the first block: warm-up would distort the estimate of the time left
            run.start, run.first_step = now, step
        loss = f"loss {metrics['loss']:.3f}"
        if self.bar is not None and run.task is not None:
            self.bar.update(run.task, completed=step, loss=loss)
            self._show_all_runs()
        elif now - run.last_line >= LINE_EVERY_SECONDS:
            run.last_line = now
            left = _time_left(now - run.start, step - run.first_step, spec.training.iterations - step)
            validation = run.validation and f", {run.validation}"
            everything = self._all_left()
            self._line(spec, step, f"{loss}{validation}{left}{everything and f' ({everything})'}")

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
        self.time_left.ended(spec)
        if run is not None:
            self._remove_trial(run)
        if self.runs and self.bar is not None and run is not None and run.task is not None:
            self.bar.remove_task(run.task)
        elif not self.runs:
            self.close()

    def close(self) -> None:
        """Stop the bar, so that the next output starts on a new line."""
        if self.bar is not None:
            if self.total is not None:  # the rows that stay on the screen are those of runs
                self.bar.remove_task(self.total)
                self.total = None
            for run in self.runs.values():
                self._remove_trial(run)
            self.bar.stop()

    def print_line(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        if self.bar is not None and self.runs:
            self.bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

    def _bar_of_runs(self) -> Progress:
        """The display of bars; a new one if no run is in progress: the rows of ended runs stay on the screen."""
        from mamlbench.progress.bars import make_bars

        if self.bar is None or not self.runs:
            self.close()
            self.bar = make_bars(self.console)
            self.bar.start()
        return self.bar

    def _show_all_runs(self) -> None:
        """Show the time left for all runs, in the last row."""
        if self.bar is None or not self._counts_runs():
            return
        if self.total is not None and self.bar.task_ids[-1] != self.total:
            self.bar.remove_task(self.total)
            self.total = None
        done, text = self.time_left.done, self._all_left()
        if self.total is None:
            self.total = self.bar.add_task(
                "All runs", total=len(self.numbers), loss="done", validation="", timeless=True
            )
        self.bar.update(self.total, completed=done, validation=text)

    def _counts_runs(self) -> bool:
        """Whether there are several runs whose number is known."""
        return len(self.numbers) > 1

    def _all_left(self) -> str:
        """The time left for all runs in words; empty if there is one, or nothing is known."""
        seconds = self.time_left.seconds() if self._counts_runs() else None
        return "" if seconds is None else f"about {duration(seconds)} left for all runs"

    def _remove_trial(self, run: _RunProgress) -> None:
        if self.bar is not None and run.trial is not None:
            self.bar.remove_task(run.trial)
        run.trial = None

    def _progress_of(self, spec: RunSpec) -> _RunProgress:
        """Return the progress of a run; a launcher may not have forwarded its start."""
        return self.runs.setdefault(spec.hash, _RunProgress(Preparation(self.console)))

    def _line(self, spec: RunSpec, step: int, text: str) -> None:
        self.print_line(f"{self.title(spec)}: step {step}/{spec.training.iterations}, {text}")


def duration(seconds: float) -> str:
    """Format a duration: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _time_left(elapsed: float, done: int, steps_left: int) -> str:
    if done < 1 or elapsed <= 0:
        return ""
    left = elapsed / done * steps_left
    return f", {int(left) // 60}:{int(left) % 60:02d} left"


def _title(spec: RunSpec) -> str:
    return f"{spec.algorithm.name} on {spec.dataset.title}, seed {spec.seed}"
