"""Data sets with their splits, image decoding and cache, task samplers, episodes, and counter-based random numbers.

These are what data sets are made of; those that ship are plugins, in ``mamlbench_plugins/datasets``.
"""
