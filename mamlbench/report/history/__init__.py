"""The history of committed records: score and time of each configuration over commits, and where they changed."""
