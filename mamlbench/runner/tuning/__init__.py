"""Tuning: gives every method the same number of trials, and looks at validation classes only."""
