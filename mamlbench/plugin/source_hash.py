"""Hash of the source code of plugins, so that an edited method is not mistaken for the one that was measured.

Only the plugins that a run uses count: another method that is loaded too does not make it a run of other code.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mamlbench.plugin.manager import Plugins
from mamlbench.plugin.markers import PROJECT

if TYPE_CHECKING:
    from mamlbench.run_spec import RunSpec

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

COMPONENTS = ("algorithm", "backbone", "dataset", "sampler")
"""Kinds of names that a run's spec has one of; a plugin that only registers others of them is not used by the run."""
REGISTERS_COMPONENTS = frozenset(f"{PROJECT}_register_{kind}s" for kind in COMPONENTS)

_IMPORT = re.compile(r"^[ \t]*(?:from|import)\b[^(\n]*(?:\([^)]*\))?", re.MULTILINE)


def versions_that_count(plugins: Plugins, spec: RunSpec | None = None) -> dict[str, str]:
    """Return the version of each installed plugin that can change a number (of a run, if one is named), by name."""
    versions, unused = {}, _unused_packages(plugins, spec)
    for report in plugins.reports:
        module = plugins.manager.get_plugin(f"{report.origin}:{report.name}")
        if module is None or not report.version or _changes_no_number(plugins, module):
            continue
        if _package(module).__name__ not in unused:
            versions[report.name] = report.version
    return versions


def plugin_code(plugins: Plugins, spec: RunSpec | None = None) -> str:
    """Hash the source of every loaded plugin that can change a number: 16 hexadecimal digits.

    That is its file or its whole package, without the modules of that package that only start runs, follow them or show
    them. Listeners that a program registers, such as a progress display, do not count.

    Args:
        plugins: the loaded plugins.
        spec: leaves out plugins that this run does not use.
    """
    modules = [plugin for plugin in plugins.manager.get_plugins() if isinstance(plugin, ModuleType)]
    changing = [module for module in modules if not _changes_no_number(plugins, module)]
    harmless = {module.__name__ for module in modules} - {module.__name__ for module in changing}
    packages = {package.__name__: package for package in map(_package, changing)}  # one for many modules
    for name in _unused_packages(plugins, spec):
        packages.pop(name, None)
    files = {file for package in packages.values() for file in _files(package, harmless)}
    digest = hashlib.sha256()
    for name, text_hash in sorted((name, _hash(path)) for name, path in files):
        digest.update(f"{name} {text_hash}\n".encode())
    return digest.hexdigest()[:16]


def _changes_no_number(plugins: Plugins, module: Any) -> bool:
    """Return whether all hooks of a plugin are of that kind. One without any hook acts by being imported."""
    hooks = {caller.name for caller in plugins.manager.get_hookcallers(module) or ()}
    return bool(hooks) and hooks <= CHANGES_NO_NUMBER


def _unused_packages(plugins: Plugins, spec: RunSpec | None) -> set[str]:
    """Return the packages and files, by module name, of which a run uses nothing.

    Each of their plugins only registers components, none of them the run's, and does nothing else when it is imported;
    and no package that counts imports them. In doubt a package counts: all do if the run uses a family of names or
    begins with another run's model, which may need any component.
    """
    if spec is None or spec.init or spec.init_sha256:
        return set()
    names = {kind: getattr(spec, kind).name for kind in COMPONENTS}
    if any(":" in name for name in names.values()):
        return set()
    used = {f"{kind} {name}" for kind, name in names.items()}
    provided = {f"{report.origin}:{report.name}": set(report.provides) for report in plugins.reports}
    needed: dict[str, ModuleType] = {}
    unused: dict[str, ModuleType] = {}
    for name, module in plugins.manager.list_name_plugin():
        if isinstance(module, ModuleType) and not _changes_no_number(plugins, module):
            package = _package(module)
            idle = name in provided and not provided[name] & used and _only_registers(plugins, module)
            (unused if idle else needed)[package.__name__] = package
    unused = {name: package for name, package in unused.items() if name not in needed}
    return set(unused) - _imported(unused, needed) if unused else set()


def _only_registers(plugins: Plugins, module: ModuleType) -> bool:
    """Return whether a plugin registers components, and importing it defines names and does nothing else."""
    hooks = {caller.name for caller in plugins.manager.get_hookcallers(module) or ()}
    if not hooks <= CHANGES_NO_NUMBER | REGISTERS_COMPONENTS or module.__file__ is None:
        return False
    return all(map(_defines, ast.parse(Path(module.__file__).read_bytes()).body))


def _defines(statement: ast.stmt) -> bool:
    """Return whether a statement imports or defines something, or is a docstring; a changed attribute is neither."""
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Name) for target in statement.targets)
    if isinstance(statement, ast.AnnAssign):
        return isinstance(statement.target, ast.Name)
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    defining = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return isinstance(statement, defining)


def _imported(unused: dict[str, ModuleType], needed: dict[str, ModuleType]) -> set[str]:
    """Return the unused packages that those in need import, directly or through one another."""
    imported: set[str] = set()
    reading = list(needed.values())
    while reading:
        files = [path for package in reading for _, path in _files(package, set())]
        imports = "\n".join(line for path in files for line in _IMPORT.findall(path.read_text("utf-8", "replace")))
        names = {name: _import_name(package) for name, package in unused.items() if name not in imported}
        new = {name for name, text in names.items() if re.search(rf"\b{re.escape(text)}\b", imports)}
        imported |= new
        reading = [unused[name] for name in new]
    return imported


def _import_name(package: ModuleType) -> str:
    """The name by which other code imports a package, or a file beside it."""
    return package.__name__ if hasattr(package, "__path__") else Path(package.__file__ or package.__name__).stem


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
