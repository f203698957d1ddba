"""Progress of runs and preparations: bars on a terminal and in a notebook, plain lines elsewhere."""
