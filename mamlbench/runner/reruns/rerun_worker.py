"""Script that runs one spec in its own process, with the code of some revision on the import path.

Its imports come from that revision, so it may use only what all revisions have.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

INTERRUPTED = 2
"""Exit code of an interrupted run."""
GRACE_SECONDS = 30.0
"""Time to write a record after the end of stdin."""


def main() -> int:
    """Run the spec that one line of stdin holds, with its plugins and folders; return 0 if a record was written.

    The end of stdin, which is also the end of the process that started this one, interrupts the run.
    """
    from mamlbench.errors import MamlbenchError
    from mamlbench.plugin import load_plugins
    from mamlbench.run_spec import Folders, RunSpec
    from mamlbench.runner.launch import launch

    work = json.loads(sys.stdin.readline())
    _handle_signals()
    try:
        plugins = load_plugins(map(Path, work["plugins"]))
        records = launch([RunSpec.model_validate(work["spec"])], plugins, Folders.model_validate(work["folders"]))
    except (MamlbenchError, ValueError) as error:  # pydantic's errors are ValueErrors
        print("; ".join(str(error).split("\n")), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return INTERRUPTED if any(record.status == "interrupted" for record in records) else 0


def _handle_signals() -> None:
    """Let an interrupt end the run with its record; the process that started this one has kept signals back so far."""
    threading.Thread(target=_await_end_of_stdin, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from mamlbench.interrupts import take_over
    except ImportError:  # an older revision
        pass
    else:
        take_over()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


def _await_end_of_stdin() -> None:
    sys.stdin.read()
    try:
        from mamlbench.interrupts import request_interrupt
    except ImportError:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        request_interrupt()
    time.sleep(GRACE_SECONDS)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
