"""Published numbers beside this repository's own runs: verdicts, and how far the runs have come."""
