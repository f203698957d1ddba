"""pluggy's markers, apart from everything else so that importing them costs next to nothing."""

import pluggy

PROJECT = "mamlbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Mark a function of your plugin as an implementation of the hook it is named after."""
