"""Says in one sentence what a plugin's code did wrong, and on which line."""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import mamlbench
from mamlbench.errors import describe_error, one_line

LONGEST_LINE = 80
"""Characters of a source line that are shown."""
_HARNESS = str(Path(mamlbench.__file__).parent)
_PYTHON = str(Path(os.__file__).parent)


def explain_failure(error: BaseException, code: Iterable[Path] = ()) -> str:
    """Return an error as one line, with the file and the source line of the plugin where it was raised.

    Args:
        error: what importing or calling the plugin raised.
        code: the plugin's file or folder, if known; the innermost line of it is named, otherwise the innermost one
            that is neither the harness's nor Python's own.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place = source_line(error.filename, error.lineno, error.text)
        return f"{type(error).__name__}: {one_line(error.msg)} ({place})"
    text = describe_error(error)
    place = blamed_line(error, code)
    return f"{text} ({place})" if place else text


@dataclass(frozen=True)
class SourcePlace:
    """A line of a plugin's code, and the file or folder of that plugin."""

    root: Path
    file: str
    line: int

    def __str__(self) -> str:
        return source_line(self.file, self.line)


def innermost(error: BaseException, roots: Iterable[Path]) -> SourcePlace | None:
    """Return the innermost line of the traceback that is in one of ``roots`` (files or folders; the longest counts)."""
    by_length = sorted(roots, key=lambda root: len(str(root)), reverse=True)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for root in by_length:
            if frame.lineno and _within(frame.filename, str(root)):
                return SourcePlace(root, frame.filename, frame.lineno)
    return None


def blamed_line(error: BaseException, code: Iterable[Path] = ()) -> str:
    """Return the innermost line of ``code`` in the traceback as ``FILE, line N: SOURCE``; empty if there is none."""
    place = innermost(error, code)
    if place is not None:
        return str(place)
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__) if frame.lineno]
    outside = [frame for frame in frames if _is_outside(frame[0])]
    return source_line(*outside[-1]) if outside else ""


def source_line(file: str, number: int, text: str | None = None) -> str:
    """Return a place in source code: file (relative, if it lies below the current folder), line number and text."""
    line = one_line(text if text is not None else linecache.getline(file, number), LONGEST_LINE)
    return f"{one_line(_short(file))}, line {number}" + (f": {line}" if line else "")


def code_of(module: object) -> Iterator[Path]:
    """Yield the file of a loaded plugin, or the folders of the package that it belongs to."""
    if not isinstance(module, ModuleType):
        return
    package = sys.modules.get(module.__name__.partition(".")[0], module)
    folders = [Path(folder) for folder in getattr(package, "__path__", ())]
    file = getattr(module, "__file__", None)
    yield from folders or ([Path(file)] if file else [])


def own_code_of(module: object) -> Iterator[Path]:
    """Yield the folders of a loaded plugin if it is a package itself, else its file."""
    file = getattr(module, "__file__", None)
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    yield from folders or ([Path(file)] if file else [])


def code_of_name(module: str) -> list[Path]:
    """Find the code of a module by its name, without importing it."""
    package = module.partition(":")[0].partition(".")[0]
    if package in sys.modules:
        return list(code_of(sys.modules[package]))
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return [Path(folder) for folder in spec.submodule_search_locations or filter(None, [spec.origin])]


def _within(file: str, root: str) -> bool:
    return file == root or file.startswith(root.rstrip(os.sep) + os.sep)


def _is_outside(file: str) -> bool:
    """Whether a file is neither the harness's, nor Python's own, nor pluggy's."""
    own = _within(file, _PYTHON) and "-packages" not in file
    return not (file.startswith("<") or _within(file, _HARNESS) or own or "pluggy" in file)


def _short(file: str) -> str:
    here = str(Path.cwd())
    return os.path.relpath(file, here) if _within(file, here) else file
