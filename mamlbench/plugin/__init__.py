"""Plugins: the hooks, how they are loaded, and the registry of what they bring.

Your first plugin, whole::

    # halfway.py:  mamlbench run --plugin halfway.py --algo halfway
    import mamlbench

    @mamlbench.hookimpl
    def mamlbench_register_algorithms(register):
        from mamlbench_plugins.algorithms.fomaml import FOMAML
        register("halfway", type("Halfway", (FOMAML,), {}), summary="first-order MAML under another name")
"""

from mamlbench.plugin.manager import PluginReport, Plugins, load_plugins
from mamlbench.plugin.markers import PROJECT, hookimpl, hookspec
from mamlbench.plugin.registry import KINDS, SUITE, Entry, Registry
from mamlbench.plugin.report_columns import ReportColumn

__all__ = [
    "KINDS",
    "PROJECT",
    "SUITE",
    "Entry",
    "PluginReport",
    "Plugins",
    "Registry",
    "ReportColumn",
    "hookimpl",
    "hookspec",
    "load_plugins",
]
