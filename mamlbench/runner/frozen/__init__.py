"""Frozen encoders: features of all images of a data set, computed once and kept in the cache."""
