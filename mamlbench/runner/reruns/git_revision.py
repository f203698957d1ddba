"""The code of another git revision, checked out for a while beside the present one."""

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
from mamlbench.plugin import Plugins


@dataclass(frozen=True)
class Code:
    """Where a process is to find the code that is compared."""

    folders: tuple[Path, ...]
    """Come before all others on its path."""
    files: tuple[Path, ...] = ()
    """Single-file plugins."""


@contextmanager
def checked_out(revision: str, plugins: Plugins, within: Path | None = None) -> Iterator[tuple[Code, Code]]:
    """Yield the code of ``revision`` and the present code; the former lies in a temporary work tree until the end.

    What is compared is every part of the harness and of the loaded plugins that lies in the repository; all else
    (Python, packages, plugins installed from elsewhere) is the same for both.

    Args:
        revision: anything that git takes for a commit.
        plugins: those of this process.
        within: a folder of the repository; None: the current one.

    Raises ConfigError where there is no such revision, or no code here comes from the repository.
    """
    top = Path(_git(within or Path.cwd(), "rev-parse", "--show-toplevel"))
    commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="mamlbench-base-") as name:
        tree = Path(name).resolve() / "tree"
        # no hooks: a checkout of somebody's revision is to run nothing
        _git(top, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield _pair(top.resolve(), tree, plugins, revision)
        finally:
            _git(top, "worktree", "remove", "--force", str(tree))


def _pair(top: Path, tree: Path, plugins: Plugins, revision: str) -> tuple[Code, Code]:
    folders = [folder for folder in _folders(plugins) if _there(folder, top, tree).is_dir()]
    files = plugins.files
    gone = [file for file in files if file.is_relative_to(top) and not _there(file, top, tree).is_file()]
    if gone:
        names = ", ".join(f"'{file.relative_to(top)}'" for file in gone)
        raise ConfigError(f"The revision '{revision}' has no plugin {names}: there is nothing to rerun it with.")
    folders = [folder for folder in folders if folder.is_relative_to(top)]
    if not folders and not any(file.is_relative_to(top) for file in files):
        raise ConfigError(
            f"No code that runs here comes from the repository '{top}', so that another revision of it would change "
            "nothing: install it with 'pip install --editable .', or name its plugin with --plugin FILE."
        )
    here = Code(tuple(folders), files)
    there = [tuple(_there(path, top, tree) for path in paths) for paths in (folders, files)]
    return Code(*there), here


def _there(path: Path, top: Path, tree: Path) -> Path:
    """The same place in the work tree; what lies elsewhere stays where it is."""
    return tree / path.relative_to(top) if path.is_relative_to(top) else path


def _folders(plugins: Plugins) -> list[Path]:
    """Folders from which the harness and the installed plugins were imported."""
    loaded = [plugin for plugin in plugins.manager.get_plugins() if isinstance(plugin, ModuleType)]
    found: dict[Path, None] = {}
    for module in (mamlbench, *loaded):
        package = sys.modules.get(module.__name__.partition(".")[0], module)
        file = getattr(package, "__file__", None)
        if file is not None and Path(file).resolve() not in plugins.files:
            found[Path(file).resolve().parents[1 if hasattr(package, "__path__") else 0]] = None
    return sorted(found)


def _git(folder: Path, *arguments: str) -> str:
    """Output of git. Raises ConfigError where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigError(f"git cannot be run ({error.strerror}): it is needed for another revision's code.") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"'{arguments[-1].removesuffix('^{commit}')}' is no revision"]
        raise ConfigError(f"git: {said[-1].removeprefix('fatal: ')}")
    return done.stdout.strip()
