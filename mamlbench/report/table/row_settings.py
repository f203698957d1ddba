"""What a row's records say besides numbers."""

from __future__ import annotations

from mamlbench.record import RunRecord
from mamlbench.report.table.groups import Row, runs_at_once


def first(row: Row) -> RunRecord:
    """A record that stands for the row: a finished one where there is one."""
    return (row.seeds or row.runs)[0]


def is_share(row: Row) -> bool:
    """Whether scores are fractions, shown in percent."""
    return any(test.unit == "%" for test in row.tests)


def subsets(row: Row) -> str:
    """How the data set was incomplete; empty where it was complete."""
    return "; ".join(dict.fromkeys(run.data.subset for run in row.runs if run.data and run.data.subset))


def status(row: Row) -> str:
    """'finished', or how the runs ended that did not finish."""
    return ", ".join(dict.fromkeys(run.status for run in row.unfinished)) or "finished"


def adaptation_steps(row: Row) -> float | None:
    """Adaptation steps at test."""
    return row.tests[0].adaptation_steps if row.tests else None


def device(row: Row) -> str:
    """The hardware's name."""
    environment, spec = first(row).environment, first(row).spec
    return environment.device_name or (environment.cpu if spec.device == "cpu" else spec.device)


def clock(run: RunRecord) -> str:
    """Whose seconds its device seconds are: 'CPU' or 'GPU'; as it was meant to run, where it measured nothing."""
    on_cpu = run.spec.device == "cpu" if run.measurement is None else run.measurement.device_clock == "cpu"
    return "CPU" if on_cpu else "GPU"


def machine(row: Row) -> dict[str, str]:
    """Everything that must be equal before times and memory may be compared."""
    environment = first(row).environment
    described = {
        "device": device(row),
        "CPU": environment.cpu,
        "cores": environment.cores,
        "threads": environment.threads,
        "platform": environment.platform,
        "Python": environment.python,
        "allocator": environment.allocator,
        "kernels": environment.kernels,
        **environment.packages,
        "runs at once": runs_at_once(first(row)),
    }
    return {name: str(value) for name, value in described.items()}
