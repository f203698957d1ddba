"""Checks out the code of another git revision temporarily, beside the present code."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import mamlbench
from mamlbench.errors import ConfigError
from mamlbench.interrupts import check_interrupt, deferred, prompt
from mamlbench.plugin import Plugins


@dataclass(frozen=True)
class CodePaths:
    """Paths from which a process imports the code of one side.

    Args:
        folders: folders at the start of the import path.
        files: single-file plugins.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...] = ()


@contextmanager
def checked_out(revision: str, plugins: Plugins, within: Path | None = None) -> Iterator[tuple[CodePaths, CodePaths]]:
    """Yield the code of ``revision``, in a temporary work tree, and the present code.

    They differ in the parts of the harness and of the loaded plugins that are in the repository; everything else
    (Python, packages, plugins installed from elsewhere) is the same for both.

    Args:
        revision: anything that git resolves to a commit.
        plugins: the loaded plugins.
        within: a folder of the repository; None: the current folder.

    Raises ConfigError if there is no such revision, or if no loaded code comes from the repository.
    """
    top = Path(_git(within or Path.cwd(), "rev-parse", "--show-toplevel"))
    commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="mamlbench-base-") as name:
        tree = Path(name).resolve() / "tree"
        with deferred():  # an interrupt must not leave a work tree behind
            _git(top, "worktree", "prune")  # those whose process was killed
            # without hooks: checking out a revision must not run its code
            _git(top, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(tree), commit)
            try:
                check_interrupt()
                with prompt():
                    yield _code_of_both(top.resolve(), tree, plugins, revision)
            finally:
                _git(top, "worktree", "remove", "--force", str(tree))


def _code_of_both(top: Path, tree: Path, plugins: Plugins, revision: str) -> tuple[CodePaths, CodePaths]:
    folders = [folder for folder in _folders(plugins) if _in_work_tree(folder, top, tree).is_dir()]
    files = plugins.files
    missing = [file for file in files if file.is_relative_to(top) and not _in_work_tree(file, top, tree).is_file()]
    if missing:
        names = ", ".join(f"'{file.relative_to(top)}'" for file in missing)
        raise ConfigError(f"The revision '{revision}' has no plugin {names}, so its runs cannot be repeated.")
    folders = [folder for folder in folders if folder.is_relative_to(top)]
    if not folders and not any(file.is_relative_to(top) for file in files):
        raise ConfigError(
            f"No loaded code comes from the repository '{top}', so another revision of it would change "
            "nothing: install it with 'pip install --editable .', or name its plugin with --plugin FILE."
        )
    present = CodePaths(tuple(folders), files)
    base = [tuple(_in_work_tree(path, top, tree) for path in paths) for paths in (folders, files)]
    return CodePaths(*base), present


def _in_work_tree(path: Path, top: Path, tree: Path) -> Path:
    """The same path in the work tree; a path outside the repository stays the same."""
    return tree / path.relative_to(top) if path.is_relative_to(top) else path


def _folders(plugins: Plugins) -> list[Path]:
    """Folders from which the harness and the installed plugins are imported."""
    loaded = [plugin for plugin in plugins.manager.get_plugins() if isinstance(plugin, ModuleType)]
    folders: set[Path] = set()
    for module in (mamlbench, *loaded):
        package = sys.modules.get(module.__name__.partition(".")[0], module)
        file = getattr(package, "__file__", None)
        if file is not None and Path(file).resolve() not in plugins.files:
            folders.add(Path(file).resolve().parents[1 if hasattr(package, "__path__") else 0])
    return sorted(folders)


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of git. Raises ConfigError if git fails."""
    try:
        process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigError(f"git cannot be run ({error.strerror}): it is needed for another revision's code.") from error
    if process.returncode:
        no_revision = f"'{arguments[-1].removesuffix('^{commit}')}' is no revision"
        lines = process.stderr.strip().splitlines() or [no_revision]
        raise ConfigError(f"git: {lines[-1].removeprefix('fatal: ')}")
    return process.stdout.strip()
