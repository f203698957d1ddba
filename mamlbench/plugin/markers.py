"""The markers of pluggy for hooks and their implementations, in a module that is cheap to import."""

import pluggy

PROJECT = "mamlbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook that has its name."""
