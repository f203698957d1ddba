"""Reruns: run a base revision and the present code alternately, so that their times can be compared."""
