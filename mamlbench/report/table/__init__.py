"""Comparison tables: which runs share a table, its columns, its notes.

Each column is built in ``columns.py``; those of plugins in ``plugin_columns.py``.
"""
