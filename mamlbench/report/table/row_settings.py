"""Properties of a row other than its numbers: data subset, status, device, machine."""

from __future__ import annotations

from mamlbench.record import RunRecord
from mamlbench.report.table.groups import RowRuns, runs_at_once


def representative_run(row: RowRuns) -> RunRecord:
    """Return a record that stands for the row: a finished one if there is one."""
    return (row.seed_runs or row.runs)[0]


def subsets(row: RowRuns) -> str:
    """Describe in what way the data set was incomplete; empty if it was complete."""
    return "; ".join(dict.fromkeys(run.data.subset for run in row.runs if run.data and run.data.subset))


def status(row: RowRuns) -> str:
    """Return 'finished', or the statuses of the runs that did not finish."""
    return ", ".join(dict.fromkeys(run.status for run in row.unfinished)) or "finished"


def adaptation_steps(row: RowRuns) -> float | None:
    """Return the number of adaptation steps at test time."""
    return row.tests[0].adaptation_steps if row.tests else None


def device(row: RowRuns) -> str:
    """Return the name of the hardware."""
    run = representative_run(row)
    return run.environment.device_name or (run.environment.cpu if run.spec.device == "cpu" else run.spec.device)


def clock(run: RunRecord) -> str:
    """Return 'CPU' or 'GPU': what the device seconds count. Without a measurement, the device of the spec decides."""
    on_cpu = run.spec.device == "cpu" if run.measurement is None else run.measurement.device_clock == "cpu"
    return "CPU" if on_cpu else "GPU"


def machine(row: RowRuns) -> dict[str, str]:
    """Return everything that must be equal for times and memory to be comparable."""
    environment = representative_run(row).environment
    properties = {
        "device": device(row),
        "CPU": environment.cpu,
        "cores": environment.cores,
        "threads": environment.threads,
        "platform": environment.platform,
        "Python": environment.python,
        "allocator": environment.allocator,
        "kernels": environment.kernels,
        **environment.packages,
        "precision": representative_run(row).spec.precision,
        "runs at once": runs_at_once(representative_run(row)),
    }
    return {name: str(value) for name, value in properties.items()}
