"""Plugins: the hooks, the loader, and the registry of names.

A complete first plugin::

    # halfway.py:  mamlbench run --plugin halfway.py --algo halfway
    from mamlbench.api import hookimpl

    @hookimpl
    def mamlbench_register_algorithms(register):
        from mamlbench_plugins.algorithms.fomaml import FOMAML
        register("halfway", type("Halfway", (FOMAML,), {}), summary="first-order MAML under another name")
"""

from mamlbench.plugin.manager import PluginReport, Plugins, load_plugins
from mamlbench.plugin.markers import PROJECT, hookimpl, hookspec
from mamlbench.plugin.name_family import NameFamily
from mamlbench.plugin.registry import FILES, KINDS, SPEEDRUN, SUITE, Entry, Registry
from mamlbench.plugin.report_columns import ReportColumn

__all__ = [
    "FILES",
    "KINDS",
    "PROJECT",
    "SPEEDRUN",
    "SUITE",
    "Entry",
    "NameFamily",
    "PluginReport",
    "Plugins",
    "Registry",
    "ReportColumn",
    "hookimpl",
    "hookspec",
    "load_plugins",
]
