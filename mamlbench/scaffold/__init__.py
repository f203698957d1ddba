"""What ``mamlbench new`` writes: a plugin in one file, or a distribution of its own."""

from mamlbench.scaffold.plugin_names import Names, names_of
from mamlbench.scaffold.write import KINDS, single_file, whole_package, write

__all__ = ["KINDS", "Names", "names_of", "single_file", "whole_package", "write"]
