"""Data sets with their splits, image decoding and cache, task samplers, episodes, and counter-based random numbers."""
