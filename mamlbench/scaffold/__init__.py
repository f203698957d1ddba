"""Generating plugins for ``mamlbench new``: one file, or a whole distribution."""

from mamlbench.scaffold.generate import KINDS, package_files, single_file, write_files
from mamlbench.scaffold.plugin_names import PluginNames, plugin_names_for

__all__ = ["KINDS", "PluginNames", "package_files", "plugin_names_for", "single_file", "write_files"]
