"""The process of a packed job: ``packed_run`` starts ``python -m mamlbench.runner.packed_process DESCRIPTOR``."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from mamlbench.interrupts import deferred, end_at_once, exit_process, request_interrupt, take_over

GRACE_SECONDS = 20.0
"""Time that an interrupted run without a parent has to write its record."""


def main(descriptor: int) -> None:
    """Receive the orders, run the job, and send how it ended."""
    take_over()
    connection = Connection(descriptor)
    orders = connection.recv()
    threading.Thread(target=_watch, args=(connection,), name="mamlbench-parent", daemon=True).start()
    end = _run(connection, orders)
    with suppress(OSError), deferred():
        connection.send(end)
    exit_process(0)


def _run(connection: Connection, orders: dict[str, Any]) -> tuple[str, Any]:
    from mamlbench.api import Job
    from mamlbench.errors import MamlbenchError, RunFailedError, describe_error
    from mamlbench.run_spec import Folders
    from mamlbench.runner.execute import perform

    def emit(hook: str, **arguments: Any) -> None:
        with suppress(OSError):  # nobody listens any more: the watching thread ends the run
            connection.send(("event", (hook, arguments)))

    try:
        folders = Folders(results=orders["results"], data=orders["data"], cache=orders["cache"])
        job = Job(spec=orders["spec"], folders=folders, plugins=orders["plugins"], resume=orders["resume"])
        record = perform(job, emit, own_process=True, runs_at_once=orders["runs_at_once"])
        return "record", (record.name, record.status)
    except (MamlbenchError, KeyboardInterrupt) as error:
        return "error", error
    except BaseException as error:
        traceback.print_exc()
        return "error", RunFailedError(describe_error(error))


def _watch(connection: Connection) -> None:
    """Interrupt the run if the parent orders it or is gone; in the latter case the process ends soon in any case."""
    with suppress(EOFError, OSError):
        connection.recv()
        request_interrupt()
        connection.recv()
    request_interrupt()
    time.sleep(GRACE_SECONDS)
    end_at_once()


if __name__ == "__main__":
    main(int(sys.argv[1]))
