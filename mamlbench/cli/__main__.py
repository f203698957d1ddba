"""The program ``mamlbench``, and ``python -m mamlbench.cli``."""

from __future__ import annotations

import sys

from mamlbench.interrupts import EXIT_CODE, exit_process, take_over


def entry() -> None:
    """Run the command line and exit with its code; signals are handled before anything else is imported."""
    code = EXIT_CODE
    try:
        take_over(announce=True)
        from mamlbench.cli.main import main
        from mamlbench.cli.standard_streams import exit_code, guard_streams

        stdout = guard_streams(sys.argv[1:])
        code = exit_code(main(sys.argv[1:]), stdout)
    except KeyboardInterrupt:  # while importing, or after the last line of main
        print("Interrupted.", file=sys.stderr)
    exit_process(code)


if __name__ == "__main__":
    entry()
