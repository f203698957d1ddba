"""Hash of the source code of plugins, so that an edited method is not mistaken for the one that was measured."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from mamlbench.plugin.manager import Plugins


def plugin_code(plugins: Plugins) -> str:
    """Hash the source of every loaded plugin, its file or its whole package: 16 hexadecimal digits.

    Listeners that a program registers, such as a progress display, do not count.
    """
    modules = [plugin for plugin in plugins.manager.get_plugins() if isinstance(plugin, ModuleType)]
    files = {file for module in modules for file in _files(module)}
    digest = hashlib.sha256()
    for name, text_hash in sorted((name, _hash(path)) for name, path in files):
        digest.update(f"{name} {text_hash}\n".encode())
    return digest.hexdigest()[:16]


def _files(module: ModuleType) -> Iterator[tuple[str, Path]]:
    """Yield source files with names that do not depend on where they are installed."""
    package = sys.modules.get(module.__name__.partition(".")[0], module)
    folders = [Path(folder) for folder in getattr(package, "__path__", ())]
    for folder in folders:
        yield from ((f"{package.__name__}/{path.relative_to(folder)}", path) for path in folder.rglob("*.py"))
    if not folders and module.__file__ is not None:
        yield Path(module.__file__).name, Path(module.__file__)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
