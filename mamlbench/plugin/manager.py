"""Loads plugins one at a time; a broken plugin is reported, and the others still work."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from mamlbench.errors import ConfigError, did_you_mean, one_line
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin import hookspecs as hooks
from mamlbench.plugin.failure import code_of, code_of_name, explain_failure, innermost, own_code_of
from mamlbench.plugin.markers import PROJECT
from mamlbench.plugin.published_numbers import PublishedFile
from mamlbench.plugin.registry import FILES, KINDS, Entry, Registry
from mamlbench.plugin.report_columns import ColumnInput, ReportColumn
from mamlbench.plugin.time_limit import PluginTimeout, watched
from mamlbench.plugin.tracking import TrackerListener


@dataclass
class PluginReport:
    """One plugin, as ``mamlbench plugins`` lists it."""

    name: str
    origin: str
    version: str = ""
    error: str = ""
    provides: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The plugin's name and origin: ``plugin 'mine' (mine.py)``."""
        return f"plugin '{one_line(self.name)}' ({one_line(self.origin)})"


@dataclass
class Plugins:
    """All loaded plugins.

    Attributes:
        manager: pluggy's manager, which calls the hooks.
        registry: the registered names.
        reports: one report per plugin, broken ones included.
        files: single-file plugins that were loaded, as absolute paths.
        trackers: names of the trackers in use.
        report_columns: registered report columns by name.
        hanging: listeners that were given up, as (plugin, hook).
    """

    manager: pluggy.PluginManager
    registry: Registry
    reports: list[PluginReport]
    files: tuple[Path, ...] = ()
    trackers: tuple[str, ...] = ()
    report_columns: dict[str, ReportColumn] = field(default_factory=dict)
    hanging: set[tuple[str, str]] = field(default_factory=set)

    def blame(self, error: BaseException) -> str:
        """Return the plugin and its source line where an error was raised: ``plugin 'mine' (mine.py, line 3: f(x))``.

        A plugin from elsewhere goes before a shipped one, whose class it may have changed. Empty if none was running.
        """
        shipped: dict[Path, str] = {}
        others: dict[Path, str] = {}
        for name, module in self.manager.list_name_plugin():
            origin, _, short = name.rpartition(":")
            names = shipped if origin == PROJECT else others
            names |= {path: names.get(path, short) for path in code_of(module)}
            names |= dict.fromkeys(own_code_of(module), short)
        for names in (others, shipped):
            place = innermost(error, names)
            if place is not None:
                return f"plugin '{one_line(names[place.root])}' ({place})"
        return ""

    @property
    def failures(self) -> list[str]:
        """One sentence for each plugin that could not be loaded."""
        return [f"P{str(report)[1:]} is left out: {report.error}" for report in self.reports if report.error]

    def require(self, files: Iterable[Path]) -> None:
        """Raise ConfigError if one of these files is missing or could not be loaded."""
        asked = {str(path.resolve()) for path in files}
        for report in self.reports:
            if report.origin in asked and not Path(report.origin).is_file():
                raise ConfigError(f"There is no plugin file '{one_line(report.origin)}'.")
            if report.origin in asked and report.error:
                raise ConfigError(f"Plugin '{one_line(report.origin)}' cannot be loaded: {report.error}")

    def track(self, names: Iterable[str], folder: Path) -> None:
        """Send events to these trackers too, each with a folder of its name below ``folder``.

        Raises ConfigError if a name is unknown or a tracker cannot be used.
        """
        for name in dict.fromkeys(names):
            listener = TrackerListener(self.registry.load("tracker", name), folder / name)
            self.manager.register(listener, name=f"tracker {name}")
            self.trackers += (name,)

    def notify(self, hook: str, **arguments: Any) -> Iterator[str]:
        """Call every implementation of an event hook; yield one line for each that raised, or was given up.

        One that was given up because it took too long is not called again.
        """
        caller = getattr(self.manager.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):
            key = (implementation.plugin_name, hook)
            if key in self.hanging:
                continue
            try:
                with watched(f"calling {hook} of plugin '{one_line(implementation.plugin_name)}'"):
                    implementation.function(*(arguments[name] for name in implementation.argnames))
            except BaseException as error:  # a plugin may raise anything, or exit
                if is_interrupt(error):
                    raise
                if isinstance(error, PluginTimeout):
                    self.hanging.add(key)
                failure = explain_failure(error, code_of(implementation.plugin))
                yield f"{one_line(implementation.plugin_name)}: {hook}: {failure}"


def load_plugins(files: Iterable[Path] = (), *, strict: bool = True) -> Plugins:
    """Load installed plugins, then local files.

    A broken installed plugin is reported and left out.

    Args:
        files: single-file plugins.
        strict: whether a broken local file raises ConfigError; if not, it is reported like an installed plugin.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    plugins = Plugins(manager, Registry(), [])
    for point in metadata.entry_points(group=PROJECT):
        distribution = point.dist
        origin = distribution.name if distribution else point.value
        report = PluginReport(point.name, origin, distribution.version if distribution else "")
        _try_plugin(plugins, report, point.load, partial(code_of_name, point.value))
    paths = [path.resolve() for path in files]
    for path in paths:
        report = PluginReport(path.stem, str(path))
        if _try_plugin(plugins, report, partial(_import_file, path), partial(list, [path])):
            plugins.files += (path,)
    if strict:
        plugins.require(paths)
    return plugins


def _try_plugin(plugins: Plugins, report: PluginReport, load: Any, code: Callable[[], list[Path]]) -> bool:
    """Import a plugin, check its hooks and register it; if anything fails, only the report remains."""
    plugins.reports.append(report)
    name = f"{report.origin}:{report.name}"
    try:
        # what a plugin prints while it is loaded must not get into a table or JSON
        with watched(f"loading {report}"), redirect_stdout(sys.stderr):
            module = load()
            plugins.manager.register(module, name=name)
            _check_hook_names(plugins.manager, module)
            _call_registration_hooks(plugins, module, report)
    except BaseException as error:  # a plugin may raise anything, or exit
        if is_interrupt(error):
            raise
        report.error = explain_failure(error, code())
        # by name, not by module: a module that two entry points share stays registered under the first
        if plugins.manager.has_plugin(name):
            plugins.manager.unregister(name=name)
    return not report.error


def _check_hook_names(manager: pluggy.PluginManager, module: Any) -> None:
    """Raise ValueError for a misspelled hook, which pluggy would silently never call."""
    hook_names = {name for name in vars(hooks) if name.startswith(f"{PROJECT}_")}
    for name in dir(module):
        if manager.parse_hookimpl_opts(module, name) is not None and name not in hook_names:
            raise ValueError(f"unknown hook '{name}'.{did_you_mean(name, hook_names)}")
    manager.check_pending()


def _call_registration_hooks(plugins: Plugins, module: Any, report: PluginReport) -> None:
    """Call the registration hooks of one plugin; its names enter the registry only if all hooks succeed."""
    entries: list[Entry] = []
    for kind in (*KINDS, *FILES):
        hook = getattr(module, f"{PROJECT}_register_{kind}s", None)
        if hook is None:
            continue

        def register(
            name: str, target: str | Path | type, *, summary: str = "", member: str = "", kind: str = kind
        ) -> None:
            path_or_class = str(target) if isinstance(target, Path) else target
            listed = f"{name}:{member}" if member else name
            entries.append(Entry(kind, listed, path_or_class, summary, report.origin, member))

        hook(register)
    columns = _columns(plugins, module, report.origin)
    files = _published(module, report.origin)
    install_hints = _install_hints(module)
    plugins.registry.add_all(entries)
    plugins.registry.add_optional_packages(install_hints)
    plugins.registry.published += files
    plugins.report_columns |= columns
    report.provides = [
        *(f"{entry.kind} {entry.name}" for entry in entries),
        *(f"column {name}" for name in columns),
        *(f"published {file.path.stem}" for file in files),
    ]


def _columns(plugins: Plugins, module: Any, origin: str) -> dict[str, ReportColumn]:
    """Columns that a plugin registers. Raises ValueError if a name is taken or a column is malformed."""
    columns: dict[str, ReportColumn] = {}

    def register(
        name: str,
        value: str | Callable[[Any], Any],
        *,
        heading: str = "",
        unit: str = "",
        lower_is_better: bool | None = None,
        of: ColumnInput = "record",
        about: str = "",
        measures_machine: bool = False,
    ) -> None:
        column = ReportColumn(name, value, heading or name, unit, lower_is_better, of, about, measures_machine, origin)
        if column.problem():
            raise ValueError(column.problem())
        taken = plugins.report_columns.get(name) or columns.setdefault(name, column)
        if taken is not column:
            raise ValueError(f"column '{name}' is already registered by {taken.origin}")

    hook = getattr(module, f"{PROJECT}_report_columns", None)
    if hook is not None:
        hook(register)
    return columns


def _install_hints(module: Any) -> dict[str, str]:
    """Names that optional packages would register, each with how to install its package."""
    hints: dict[str, str] = {}
    hook = getattr(module, f"{PROJECT}_optional_packages", None)
    if hook is not None:
        hook(lambda *names, install: hints.update(dict.fromkeys(names, install)))
    return hints


def _published(module: Any, origin: str) -> list[PublishedFile]:
    """Files of published numbers that a plugin registers."""
    files: list[PublishedFile] = []
    hook = getattr(module, f"{PROJECT}_register_published", None)
    if hook is not None:
        hook(lambda file: files.append(PublishedFile(Path(file), origin)))
    return files


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    # The name depends on the path, so that two files called plugin.py differ and a worker process gets the same name.
    name = f"mamlbench_local_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
