"""Data: data sets with their splits, image decoding and cache, samplers, episodes, and counter-based random numbers."""
