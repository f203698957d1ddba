"""Loading of plugins: one at a time, each in its own try, so that a broken one is a row in a table, not a dead tool."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.plugin import hookspecs as hooks
from mamlbench.plugin.markers import PROJECT
from mamlbench.plugin.published_numbers import PublishedFile
from mamlbench.plugin.registry import KINDS, SUITE, Entry, Registry
from mamlbench.plugin.report_columns import Of, ReportColumn
from mamlbench.plugin.tracking import TrackerListener


@dataclass
class PluginReport:
    """One plugin as ``mamlbench plugins`` lists it."""

    name: str
    origin: str
    version: str = ""
    error: str = ""
    provides: list[str] = field(default_factory=list)


@dataclass
class Plugins:
    """What was loaded: the pluggy manager, the registry, and a report on every plugin tried."""

    manager: pluggy.PluginManager
    registry: Registry
    reports: list[PluginReport]
    files: tuple[Path, ...] = ()
    trackers: tuple[str, ...] = ()
    report_columns: dict[str, ReportColumn] = field(default_factory=dict)

    def track(self, names: Iterable[str], folder: Path) -> None:
        """Send what happens to these trackers too, each with a folder of its name under ``folder``.

        Raises ConfigError for a name that is not known and for a tracker that cannot work here.
        """
        for name in dict.fromkeys(names):
            listener = TrackerListener(self.registry.load("tracker", name), folder / name)
            self.manager.register(listener, name=f"tracker {name}")
            self.trackers += (name,)

    def notify(self, hook: str, **arguments: Any) -> Iterator[str]:
        """Call every listener of an event hook, each in its own try; yield one line per listener that raised."""
        caller = getattr(self.manager.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:
                yield f"{implementation.plugin_name}: {hook}: {type(error).__name__}: {error}"


def load_plugins(files: Iterable[Path] = (), *, strict: bool = True) -> Plugins:
    """Load installed plugins, then local files.

    An installed plugin that is broken is reported and left out. A local file was asked for by name, so a broken
    one raises ConfigError; where not ``strict``, as in listings, it is reported too.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    plugins = Plugins(manager, Registry(), [])
    for point in metadata.entry_points(group=PROJECT):
        distribution = point.dist
        origin = distribution.name if distribution else point.value
        report = PluginReport(point.name, origin, distribution.version if distribution else "")
        _try_plugin(plugins, report, point.load)
    plugins.files = tuple(path.resolve() for path in files)
    for path in plugins.files:
        report = PluginReport(path.stem, str(path))
        if strict and not path.is_file():
            raise ConfigError(f"There is no plugin file '{path}'.")
        _try_plugin(plugins, report, lambda path=path: _import_file(path))
        if report.error and strict:
            raise ConfigError(f"Plugin '{path}' cannot be loaded: {report.error}")
    return plugins


def _try_plugin(plugins: Plugins, report: PluginReport, load: Any) -> None:
    """Import, check the hook names, register; on any failure leave no trace but the report."""
    plugins.reports.append(report)
    name = f"{report.origin}:{report.name}"
    try:
        module = load()
        plugins.manager.register(module, name=name)
        _check_hook_names(plugins.manager, module)
        _collect(plugins, module, report)
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything; the report carries it
        report.error = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # By name, not by module: a module that two entry points share stays registered under the first.
        if plugins.manager.has_plugin(name):
            plugins.manager.unregister(name=name)


def _check_hook_names(manager: pluggy.PluginManager, module: Any) -> None:
    """Refuse a misspelled hook: pluggy would silently never call it."""
    known = {name for name in vars(hooks) if name.startswith(f"{PROJECT}_")}
    for name in dir(module):
        if manager.parse_hookimpl_opts(module, name) is not None and name not in known:
            raise ValueError(f"unknown hook '{name}'.{did_you_mean(name, known)}")
    manager.check_pending()


def _collect(plugins: Plugins, module: Any, report: PluginReport) -> None:
    """Run the registration hooks of one plugin; only when all of them succeed do its names enter the registry."""
    found: list[Entry] = []
    for kind in (*KINDS, SUITE):
        hook = getattr(module, f"{PROJECT}_register_{kind}s", None)
        if hook is None:
            continue

        def register(name: str, target: str | Path | type, *, summary: str = "", kind: str = kind) -> None:
            found.append(Entry(kind, name, str(target) if isinstance(target, Path) else target, summary, report.origin))

        hook(register)
    columns = _columns(plugins, module, report.origin)
    files = _published(module, report.origin)
    elsewhere = _elsewhere(module)
    plugins.registry.add_all(found)
    plugins.registry.add_elsewhere(elsewhere)
    plugins.registry.published += files
    plugins.report_columns |= columns
    report.provides = [
        *(f"{entry.kind} {entry.name}" for entry in found),
        *(f"column {name}" for name in columns),
        *(f"published {file.path.stem}" for file in files),
    ]


def _columns(plugins: Plugins, module: Any, origin: str) -> dict[str, ReportColumn]:
    """The columns that a plugin brings. Raises ValueError where a name is taken or one is malformed."""
    found: dict[str, ReportColumn] = {}

    def register(
        name: str,
        value: str | Callable[[Any], Any],
        *,
        heading: str = "",
        unit: str = "",
        lower_is_better: bool | None = None,
        of: Of = "record",
        about: str = "",
        measures_machine: bool = False,
    ) -> None:
        column = ReportColumn(name, value, heading or name, unit, lower_is_better, of, about, measures_machine, origin)
        if column.objective():
            raise ValueError(column.objective())
        taken = plugins.report_columns.get(name) or found.setdefault(name, column)
        if taken is not column:
            raise ValueError(f"column '{name}' is already registered by {taken.origin}")

    hook = getattr(module, f"{PROJECT}_report_columns", None)
    if hook is not None:
        hook(register)
    return found


def _elsewhere(module: Any) -> dict[str, str]:
    """Names that another package registers, with how it is installed."""
    found: dict[str, str] = {}
    hook = getattr(module, f"{PROJECT}_optional_packages", None)
    if hook is not None:
        hook(lambda *names, install: found.update(dict.fromkeys(names, install)))
    return found


def _published(module: Any, origin: str) -> list[PublishedFile]:
    """The files of published numbers that a plugin brings."""
    found: list[PublishedFile] = []
    hook = getattr(module, f"{PROJECT}_register_published", None)
    if hook is not None:
        hook(lambda file: found.append(PublishedFile(Path(file), origin)))
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    # The name hangs on the path: two files called plugin.py do not meet, and a worker process finds the same one.
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
