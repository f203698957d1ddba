"""What mamlbench logs, on stderr (``-v``) and in a file (``--log-file``): Python's logging, logger ``mamlbench``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from mamlbench.errors import ConfigError
from mamlbench.worker_process import PACKAGE

TERMINAL = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
FILE = logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s")


class LogOutput:
    """Where logs of one call of the command line go; until something is asked for, Python prints warnings on stderr."""

    def __init__(self) -> None:
        self._handlers: dict[str, logging.Handler] = {}

    def show(self) -> None:
        """Print every stage on stderr, above bars if there are any."""
        self._add("stderr", _StderrHandler(logging.INFO), TERMINAL)

    def write_to(self, path: Path) -> None:
        """Append to a file. Raises ConfigError if it cannot be written."""
        try:
            file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"The log file '{path}' cannot be written ({error.strerror}): choose another with --log-file."
            ) from error
        self._add("file", file, FILE)
        if "stderr" not in self._handlers:
            self._add("stderr", _StderrHandler(logging.WARNING), None)

    def close(self) -> None:
        """Stop logging, and close the file."""
        logger = logging.getLogger(PACKAGE)
        for handler in self._handlers.values():
            logger.removeHandler(handler)
            handler.close()
        if self._handlers:
            logger.setLevel(logging.NOTSET)
        self._handlers.clear()

    def _add(self, name: str, handler: logging.Handler, format_: logging.Formatter | None) -> None:
        logger = logging.getLogger(PACKAGE)
        if name in self._handlers:
            logger.removeHandler(self._handlers[name])
        handler.setFormatter(format_)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        self._handlers[name] = handler


class _StderrHandler(logging.Handler):
    """Prints on whatever stderr is at that moment: bars replace it by one that prints above them."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)
