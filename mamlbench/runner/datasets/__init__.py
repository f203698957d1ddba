"""Data sets by name: their status on this machine, opening, preparation, and verification of their files."""
