"""One module per command, with a click command named ``command``; imported on first use."""
