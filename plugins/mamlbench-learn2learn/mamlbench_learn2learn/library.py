"""learn2learn, imported once, or the sentence that says how to install it."""

from __future__ import annotations

import contextlib
import io

from mamlbench.errors import MissingDependencyError

REQUIREMENT = 'learn2learn==0.2.0 --config-settings "--build-option=build_ext"'

try:
    # gym, which learn2learn imports, prints a notice about its successor; it is nothing a user here could act upon
    with contextlib.redirect_stderr(io.StringIO()):
        import learn2learn  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError as error:
    raise MissingDependencyError(
        f"What begins with l2l- needs learn2learn, which cannot be imported ({error}). To install it, put this line "
        f"into a file requirements.txt and run 'pip install --no-deps -r requirements.txt': {REQUIREMENT}"
    ) from error

__all__ = ["learn2learn"]
