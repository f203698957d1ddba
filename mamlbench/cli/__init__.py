"""The command line: thin commands over the layers below. Nothing here is needed to use mamlbench from Python."""
