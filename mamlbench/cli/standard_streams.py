"""Standard streams that may be closed, full, or a pipe that nobody reads any more.

What a command does and its exit code must not depend on whether its text can be written: a run goes on, and a gate that
failed has failed. Text that is lost because a reader left early (``mamlbench report | head -1``) is not missed; any
other loss, such as a full disk, is an error, because a script would take half a table for a whole one.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from mamlbench.cli import plain_text
from mamlbench.cli.first_word import first_word
from mamlbench.errors import ExitCode

READER_LEFT = (errno.EPIPE, errno.EINVAL)  # Windows reports a closed pipe as an invalid argument


class GuardedStream:
    """A text stream whose errors are kept instead of raised; what cannot be written is dropped.

    Args:
        stream: the stream; everything else is passed on to it.
        before: called before anything is written.
    """

    def __init__(self, stream: TextIO, before: Callable[[], object] = bool) -> None:
        self._stream = stream
        self._before = before
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text, or drop it after an error; return its length."""
        self._before()
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush what was written, if there was no error before."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    @property
    def encoding(self) -> str:
        """That of the stream; for ASCII its superset Latin-1: click writes UTF-8 past one that says it is ASCII."""
        name: str = self._stream.encoding
        return "latin-1" if codecs.lookup(name).name == "ascii" else name

    @property
    def lost_output(self) -> str:
        """Why text was lost, if it is missed; empty if nothing was lost, or if the reader had left."""
        if self.error is None or self.error.errno in READER_LEFT:
            return ""
        return self.error.strerror or str(self.error)

    def _fail(self, error: OSError) -> None:
        self.error = error
        # the interpreter flushes at its end what is still buffered: that must not fail again
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes are written past this object
            self._before()
        return getattr(self._stream, name)


def guard_streams(arguments: Sequence[str] = ()) -> GuardedStream:
    """Guard stdout and stderr of this process, and open those that are closed; return stdout.

    Characters that the encoding of a stream lacks are written as similar ones that it has (``plain_text``). If nothing
    is written for a moment, the terminal shows that the command with these ``arguments`` is at work.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the next file that is opened would become the standard stream
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors=plain_text.ERRORS)  # a console of cp1252 has no '≤': a run must not end at one
    before = first_word(arguments, sys.stderr)
    guarded = GuardedStream(sys.stdout, before)
    sys.stdout, sys.stderr = guarded, GuardedStream(sys.stderr, before)
    return guarded


def exit_code(code: int, stdout: GuardedStream) -> int:
    """Return the exit code of a command that ended with ``code``: another one only if its output was lost."""
    stdout.flush()
    if not stdout.lost_output:
        return code
    sys.stderr.write(f"Error: the output cannot be written: {stdout.lost_output}.\n")
    sys.stderr.flush()
    return code or ExitCode.USAGE
