"""The command line: thin commands over the layers below. Using mamlbench from Python does not need it."""
