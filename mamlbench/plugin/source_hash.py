"""Hash of the source code of plugins, so that an edited method is not mistaken for the one that was measured."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mamlbench.plugin.manager import Plugins
from mamlbench.plugin.markers import PROJECT

CHANGES_NO_NUMBER = frozenset(
    f"{PROJECT}_{name}"
    for name in (
        "register_launchers",
        "register_trackers",
        "register_peers",
        "register_published",
        "register_speedruns",
        "register_suites",
        "report_columns",
        "optional_packages",
        "add_commands",
    )
)
"""Hooks of plugins that start runs, follow them or show them. A suite's settings are part of each run's spec."""

_IMPORT = re.compile(r"^[ \t]*(?:from|import)\b[^(\n]*(?:\([^)]*\))?", re.MULTILINE)


def versions_that_count(plugins: Plugins) -> dict[str, str]:
    """Return the version of each installed plugin that can change a number, by name."""
    versions = {}
    for report in plugins.reports:
        module = plugins.manager.get_plugin(f"{report.origin}:{report.name}")
        if report.version and module is not None and not _changes_no_number(plugins, module):
            versions[report.name] = report.version
    return versions


def plugin_code(plugins: Plugins) -> str:
    """Hash the source of every loaded plugin that can change a number: 16 hexadecimal digits.

    That is its file or its whole package, without the modules of that package that only start runs, follow them or show
    them. Listeners that a program registers, such as a progress display, do not count.
    """
    modules = [plugin for plugin in plugins.manager.get_plugins() if isinstance(plugin, ModuleType)]
    changing = [module for module in modules if not _changes_no_number(plugins, module)]
    harmless = {module.__name__ for module in modules} - {module.__name__ for module in changing}
    packages = {package.__name__: package for package in map(_package, changing)}  # one for many modules
    files = {file for package in packages.values() for file in _files(package, harmless)}
    digest = hashlib.sha256()
    for name, text_hash in sorted((name, _hash(path)) for name, path in files):
        digest.update(f"{name} {text_hash}\n".encode())
    return digest.hexdigest()[:16]


def _changes_no_number(plugins: Plugins, module: Any) -> bool:
    """Return whether all hooks of a plugin are of that kind. One without any hook acts by being imported."""
    hooks = {caller.name for caller in plugins.manager.get_hookcallers(module) or ()}
    return bool(hooks) and hooks <= CHANGES_NO_NUMBER


def _package(module: ModuleType) -> ModuleType:
    """Return the package at the top, or the module itself if it stands alone."""
    return sys.modules.get(module.__name__.partition(".")[0], module)


def _files(package: ModuleType, harmless: set[str]) -> Iterator[tuple[str, Path]]:
    """Yield source files with names that do not depend on where they are installed."""
    folders = [Path(folder) for folder in getattr(package, "__path__", ())]
    for folder in folders:
        files = sorted(folder.rglob("*.py"))
        left_out = _not_needed(folder, package.__name__, files, harmless)
        yield from ((f"{package.__name__}/{path.relative_to(folder)}", path) for path in files if path not in left_out)
    if not folders and package.__file__ is not None:
        yield Path(package.__file__).name, Path(package.__file__)


def _not_needed(folder: Path, package: str, files: list[Path], harmless: set[str]) -> set[Path]:
    """Return the files of harmless modules of a package, unless another file of it imports or names the module."""
    names = [name for name in harmless if name.startswith(f"{package}.")]
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in files if names}
    imports = {path: "\n".join(_IMPORT.findall(text)) for path, text in texts.items()}
    left_out: set[Path] = set()
    for name in names:
        place = folder.joinpath(*name.split(".")[1:])
        own = {path for path in files if path.is_relative_to(place) or path == place.with_suffix(".py")}
        last = re.compile(rf"\b{re.escape(name.rpartition('.')[2])}\b")
        if not any(name in texts[path] or last.search(imports[path]) for path in files if path not in own):
            left_out |= own
    return left_out


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
